import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDisk } from '../../../scripts/lab-parts/disk.mjs';
import { bootGuest, type Guest } from '../../../scripts/lab-parts/guest.mjs';
import { guestTool } from '../../../scripts/lab-parts/guest-program.mjs';
import { type BlockedJson, blockedSchema } from '../../../src/answers/blocked/schema.js';
import { kdumpMem } from '../../support/cli.js';
import { drgnJson } from '../../support/drgn.js';
import { LAB } from '../../support/lab.js';

const KERNEL = '6.12-arm64-16k';
const MOST_MS = 600_000;

interface Drgn {
  readonly locks: Readonly<Record<string, { owner: string | null; waiters: number[] | null }>>;
  readonly uninterruptible: readonly number[];
}

let work = '';
let guest: Guest | undefined;
let answer: BlockedJson;
let dump = '';

beforeAll(async () => {
  work = mkdtempSync(join(LAB, 'blocked-arm64-'));
  mkdirSync(join(work, 'content'));
  for (const name of ['read', 'written']) writeFileSync(join(work, 'content', name), Buffer.alloc(1 << 20, 7));
  makeDisk(join(work, 'a'), 64, join(work, 'content'), true);
  guest = await bootGuest({
    kernel: KERNEL,
    memoryMiB: 512,
    files: [guestTool('stall', KERNEL)],
    modules: ['virtio_blk', 'crc32c_generic', 'ext4'],
    disks: [{ path: join(work, 'a') }],
    bootMs: MOST_MS,
    limitMs: 2 * MOST_MS,
  });
  const run = async (command: string): Promise<string> =>
    (await guest!.run(command, { timeoutMs: MOST_MS })).output.toString();
  // Directory and inodes are in memory before the disk stalls.
  await run('mkdir -p /a; mount -t ext4 /dev/vda /a; ls -l /a/read /a/written; sync; sleep 1');
  await guest.stall(0);
  // The first request is still answered.
  await run('dd if=/dev/vda of=/dev/null bs=4k skip=5000 count=1 & sleep 3');
  // One open file of two readers: the first holds its position (a mutex), and waits for the disk. Each write of a
  // part of a page reads it first, and holds the inode (an rw_semaphore).
  await run(
    `(exec 5</a/read; (dd bs=4k count=1 of=/dev/null <&5 &); sleep 2; dd bs=4k count=1 of=/dev/null <&5) &
    for one in 1 2; do dd if=/dev/zero of=/a/written conv=notrunc bs=100 count=1 & done
    stall read /a/written & sleep 5`,
  );
  dump = join(work, 'vmcore');
  await guest.pause();
  await guest.dump('elf', dump);
  guest.kill();
  const { stdout } = await kdumpMem('blocked', '--json', '--vmcore', dump);
  answer = blockedSchema.parse(JSON.parse(stdout));
}, 2 * MOST_MS);

afterAll(() => {
  guest?.kill();
  if (work) rmSync(work, { recursive: true, force: true });
});

test(
  'owners and waiters of a mutex and an rw_semaphore match drgn; the owners wait for the disk',
  () => {
    const { locks, complete, warnings } = answer;
    expect({ complete, warnings }).toEqual({ complete: true, warnings: [] });
    const owned = locks.filter(({ kind, owner }) => owner && /^(mutex|rw-semaphore)$/.test(kind));
    expect(new Set(owned.map(({ kind }) => kind))).toEqual(new Set(['mutex', 'rw-semaphore']));
    const names = owned.map(({ kind, address }) => `${kind}:${address}`);
    const drgn = drgnJson<Drgn>(dump, KERNEL, new URL('../stacks/blocked.py', import.meta.url), ...names);
    for (const [index, { owner, waiters, waitsFor }] of owned.entries()) {
      const truth = drgn.locks[names[index]!]!;
      const pids = waiters.map(({ pid }) => pid).toSorted((a, b) => a - b);
      expect([owner!.comm, pids]).toEqual([truth.owner, truth.waiters]);
      expect(locks[waitsFor ?? -1]?.device?.name).toBe('vda');
    }
    const blocked = locks.flatMap(({ waiters }) => waiters).filter(({ state }) => state === 'D');
    expect(blocked.map(({ pid }) => pid).toSorted((a, b) => a - b)).toEqual(drgn.uninterruptible);
  },
  MOST_MS,
);
