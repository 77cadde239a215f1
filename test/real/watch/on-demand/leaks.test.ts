import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readFromDisk } from '../../../../scripts/lab-parts/disk.mjs';
import { machineProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { kdumpMem } from '../../../support/cli.js';
import { testGuest } from '../../../support/guest.js';
import { scratchFolder } from '../../../support/scratch.js';

const MAX_MS = 300_000;
const STEP_BYTES = 4 * 2 ** 20;
/** The recorder lists owners when a category grew by that much. */
const MIN_GROWN_BYTES = 64 * 2 ** 20;
const guest = testGuest('6.1');
const folder = scratchFolder('ring-leaks-');

/** Category and owner of what each kind of `grows` takes. */
const LEAKS = [
  ['anonymous', 'anonymous', /^grows$/],
  ['tmpfs', 'shared', /\/dev\/shm\/grows$/],
  ['page-tables', 'page-tables', /^grows$/],
  ['slab', 'slab-unreclaimable', /^kmalloc-/],
  ['pipes', 'unattributed', /^grows \(\d+ pipes\)$/],
  ['sockets', 'unattributed', /^grows \(\d+ sockets\)$/],
] as const;

test.each(LEAKS)(
  'a leak of %s until the kernel panics is in the ring, with its owner',
  async (kind, category, owner) => {
    const disk = guest.disk(`ring-${kind}`, 64);
    await guest.boot({
      kdumpMem: true,
      tools: ['grows'],
      files: machineProgram(execFileSync('sh', ['-c', 'command -v ss'], { encoding: 'utf8' }).trim()),
      modules: ['unix_diag'],
      disks: [disk],
    });
    const { machine } = guest;
    await guest.run(
      'echo 2 > /proc/sys/vm/panic_on_oom; mount -t tmpfs -o size=100% t /dev/shm; mkdir /disk; mount -t ext4 /dev/vda /disk',
    );
    await guest.run('kdump-mem watch --ring /disk/ring > /tmp/ring 2>&1 &');
    // Until the first sample was taken.
    await guest.run('until [ -e /disk/ring ] && grep -q recorded-holders /disk/ring; do sleep 1; done', {
      timeoutMs: MAX_MS,
    });
    const began = machine.console.length;
    // Two lists of sockets are a minute apart.
    const everyMs = kind === 'sockets' ? 1500 : 500;
    await guest.run(`grows ${kind} ${STEP_BYTES} ${everyMs} > /tmp/grows 2>&1 &`);
    await machine.ended;
    const [ring, log] = [join(folder, `${kind}.ring`), join(folder, `${kind}.log`)];
    readFromDisk(disk, 'ring', ring);
    writeFileSync(log, machine.console.slice(began));
    const { stdout, stderr } = await kdumpMem('triage', '--json', '--ring', ring, log);
    expect(stderr).toBe('');
    const { findings } = triageSchema.parse(JSON.parse(stdout));
    const [most] = findings.filter(({ code }) => code === 'recorded-growth');
    expect(most?.figures).toMatchObject({ category, owner: expect.stringMatching(owner) });
    const { grownBytes, ownerBytes, boundBytes, ownerShare } = most?.figures ?? {};
    // What is in a pipe is not readable from outside: the owner of the growth is one with room for it.
    if (kind === 'pipes') {
      expect(ownerShare).toBeNull();
      expect(boundBytes).toBeGreaterThanOrEqual(0.95 * Number(grownBytes));
      return;
    }
    expect(ownerBytes).toBeGreaterThan(MIN_GROWN_BYTES);
    expect(ownerShare).toBeGreaterThanOrEqual(0.95);
  },
  3 * MAX_MS,
);
