import { beforeAll, expect, test } from 'vitest';
import { jsonOf } from '../../../src/base/util.js';
import { type BlockedJson, blockedSchema } from '../../../src/contracts/blocked.js';
import { kdumpMemJson } from '../../support/cli.js';
import { drgnJson } from '../../support/drgn.js';
import { testGuest } from '../../support/guest.js';

const KERNEL = '6.12-arm64-16k';

interface Drgn {
  readonly locks: Readonly<Record<string, { owner: string | null; waiters: number[] | null }>>;
  readonly uninterruptible: readonly number[];
}

const guest = testGuest(KERNEL);
let answer: BlockedJson;
let dump = '';

beforeAll(async () => {
  const files = ['read', 'written'].map((name) => [name, Buffer.alloc(1 << 20, 7)] as const);
  await guest.boot({
    memoryMiB: 512,
    tools: ['stall'],
    modules: ['virtio_blk', 'crc32c_generic', 'ext4'],
    disks: [guest.disk('a', 64, files, true)],
  });
  const run = (command: string) => guest.output(command);
  // Directory and inodes are in memory before the disk stalls.
  await run('mkdir -p /a; mount -t ext4 /dev/vda /a; ls -l /a/read /a/written; sync; sleep 1');
  await guest.machine.stall(0);
  // The first request is still answered.
  await run('dd if=/dev/vda of=/dev/null bs=4k skip=5000 count=1 & sleep 3');
  // One open file of two readers: the first holds its position (a mutex), and waits for the disk. Each write of a
  // part of a page reads it first, and holds the inode (an rw_semaphore).
  await run(
    `(exec 5</a/read; (dd bs=4k count=1 of=/dev/null <&5 &); sleep 2; dd bs=4k count=1 of=/dev/null <&5) &
    for one in 1 2; do dd if=/dev/zero of=/a/written conv=notrunc bs=100 count=1 & done
    stall read /a/written & sleep 5`,
  );
  dump = await guest.lastDump();
  answer = jsonOf(await kdumpMemJson(blockedSchema, 'blocked', '--vmcore', dump));
});

test('owners and waiters of a mutex and an rw_semaphore match drgn; the owners wait for the disk', () => {
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
});
