import { linkSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDisk } from '../../../scripts/lab-parts/disk.mjs';
import type { Guest } from '../../../scripts/lab-parts/guest.mjs';
import { toolProgram } from '../../../scripts/lab-parts/programs.mjs';
import { bootScenario, settledTruth } from '../../../scripts/lab-parts/scenario.mjs';
import { skbSchema, socketsSchema } from '../../../src/report/schema.js';
import { LAB, labKernel, role, type Truth } from '../../support/lab.js';
import { expectTruth } from '../../support/truth.js';
import { inGuest, jsonInGuest, kdumpMemInGuest, MEMORY_MIB } from './live-guest.js';

// Both ends of Debian's kernels; the guest of 6.1 holds crash as well, and crash opens no 7.2.
describe.each(['6.1', 'newest'] as const)('kdump-mem in a live guest of %s', (kernel) => {
  let guest: Guest;
  let truth: Truth;

  beforeAll(async () => {
    guest = await bootScenario({
      kernel,
      memoryMiB: MEMORY_MIB,
      files: kdumpMemInGuest(),
      limitMs: 300_000,
    });
    truth = await settledTruth(guest);
  }, 120_000);

  afterAll(() => guest?.kill());

  test('sockets --live gives every socket the figures that its process knows', async () => {
    const answer = socketsSchema.parse(await jsonInGuest(guest, 'sockets --live --all'));
    expect(answer.kernel).toEqual({
      release: truth.release,
      arch: 'x86_64',
      pageSize: truth.pageSize,
      source: 'kcore',
      engine: 'native',
    });
    // Nothing has changed meanwhile, or the comparison below would prove nothing.
    expect(quiet(await settledTruth(guest))).toEqual(quiet(truth));
    expect(answer.warnings).toEqual([]);
    expect(answer.totals.complete).toBe(true);
    const roles = truth.roles.filter(({ kind }) => kind === 'socket');
    expect(roles.length).toBeGreaterThan(30);
    for (const one of roles) {
      const ours = answer.sockets.find(({ socket }) => socket.inode === one.socket?.inode);
      expect(ours, one.name).toBeDefined();
      if (!ours) continue;
      expectTruth(one, ours);
      expect(ours.total.complete, one.name).toBe(true);
      const holders = (all: readonly { pid: number; fd: number }[]) =>
        [...new Set(all.map(({ pid, fd }) => `${pid} ${fd}`))].sort();
      expect(holders(ours.holders), one.name).toEqual(holders(one.holders));
    }
  });

  test('skb --pid --fd --live shows the starving reader', async () => {
    const starving = role(truth, 'starving');
    const command = `skb --pid ${starving.pid} --fd ${starving.fd} --live`;
    const answer = skbSchema.parse(await jsonInGuest(guest, command));
    expect(answer.kernel.source).toBe('kcore');
    expect(answer.warnings).toEqual([]);
    expectTruth(starving, answer);
    expect(answer.total.pages).toBeGreaterThan(0);
    // To people it says the same.
    const { status, output } = await inGuest(guest, command);
    expect(status).toBe(0);
    expect(output.toString()).toMatch(
      new RegExp(
        `^pid ${starving.pid} \\(starver\\) fd ${starving.fd}[:,] TCP 10\\.0\\.2\\.15:9001 `,
      ),
    );
  });

  test('without root it says so in one line, and ends with 3', async () => {
    const { status, output } = await guest.run(
      "su -s /bin/sh nobody -c 'kdump-mem skb --pid 1 --fd 0 --live'",
      { mayFail: true },
    );
    expect(output.toString()).toBe(
      'kdump-mem: /proc/kcore may not be read. Run it as root, or as a user who may read that.\n',
    );
    expect(status).toBe(3);
  });
});

describe('kdump-mem through crash in a live guest of 6.1', () => {
  const work = mkdtempSync(join(LAB, 'live-'));
  let guest: Guest;

  beforeAll(async () => {
    // The vmlinux is too large for an initramfs.
    const folder = join(work, 'folder');
    mkdirSync(folder);
    const disk = join(work, 'disk');
    linkSync(labKernel('6.1').vmlinux, join(folder, 'vmlinux'));
    makeDisk(disk, 700, folder);
    guest = await bootScenario({
      kernel: '6.1',
      memoryMiB: 2048,
      disks: [{ path: disk, readonly: true }],
      files: [...kdumpMemInGuest(), ...toolProgram('usr/bin/crash')],
      limitMs: 400_000,
    });
    await guest.run('mkdir /disk; mount -t ext4 -o ro /dev/vda /disk');
  }, 120_000);

  afterAll(async () => {
    guest?.kill();
    await guest?.ended;
    rmSync(work, { recursive: true, force: true });
  });

  test('skb --pid --fd --live gives the same figures as natively, and as the process knows', async () => {
    const truth = await settledTruth(guest);
    const starving = role(truth, 'starving');
    const command = `skb --pid ${starving.pid} --fd ${starving.fd} --live`;
    const native = skbSchema.parse(await jsonInGuest(guest, command));
    const crash = skbSchema.parse(
      await jsonInGuest(
        guest,
        `${command} --engine crash --crash /bin/crash --vmlinux /disk/vmlinux`,
        280_000,
      ),
    );
    expect(crash.kernel).toEqual({ ...native.kernel, engine: 'crash' });
    expect({ ...crash, kernel: native.kernel }).toEqual(native);
    expectTruth(starving, crash);
  }, 300_000);
});

/** The truth without what timers change by themselves; see MemInfo. */
function quiet(truth: Truth): Truth {
  const roles = truth.roles.map(({ socket, ...one }) => {
    if (!socket) return one;
    const meminfo = { ...socket.meminfo, drops: 0, wmemAlloc: 0, fwdAlloc: 0 };
    return { ...one, socket: { ...socket, meminfo } };
  });
  return { ...truth, roles };
}
