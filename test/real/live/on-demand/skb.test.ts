import { linkSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDisk } from '../../../../scripts/lab-parts/disk.mjs';
import type { Guest } from '../../../../scripts/lab-parts/guest.mjs';
import { toolProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { bootScenario, settledTruth } from '../../../../scripts/lab-parts/scenario.mjs';
import { skbSchema } from '../../../../src/contracts/sockets.js';
import { jsonInGuest, kdumpMemInGuest } from '../../../support/guest.js';
import { LAB, labKernel, role } from '../../../support/lab.js';
import { expectTruth } from '../../../support/truth.js';
import { liveSuite } from '../live-suite.js';

for (const kernel of ['6.1', 'newest'] as const) liveSuite(kernel);

// crash does not open 7.2.
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
    });
    await guest.run('mkdir /disk; mount -t ext4 -o ro /dev/vda /disk');
  });

  afterAll(async () => {
    guest?.kill();
    await guest?.ended;
    rmSync(work, { recursive: true, force: true });
  });

  test('skb --pid --fd --live gives the figures of the native engine and of the process', async () => {
    const truth = await settledTruth(guest);
    const starving = role(truth, 'starving');
    const command = `skb --pid ${starving.pid} --fd ${starving.fd} --live`;
    const native = skbSchema.parse(await jsonInGuest(guest, command));
    const crash = skbSchema.parse(
      await jsonInGuest(guest, `${command} --engine crash --crash /bin/crash --vmlinux /disk/vmlinux`),
    );
    expect(crash.kernel).toEqual({ ...native.kernel, engine: 'crash' });
    expect({ ...crash, kernel: native.kernel }).toEqual(native);
    expectTruth(starving, crash);
  });
});
