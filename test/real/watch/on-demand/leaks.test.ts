import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readFromDisk } from '../../../../scripts/lab-parts/disk.mjs';
import { machineProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { storedRecordedHolders, storedWatchSample } from '../../../../src/answers/watch/sample.js';
import { readRing } from '../../../../src/base/ring.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { kdumpMem } from '../../../support/cli.js';
import { testGuest } from '../../../support/guest.js';
import { scratchFolder } from '../../../support/scratch.js';

const STEP_BYTES = 4 * 2 ** 20;
/** The recorder lists owners when a category grew by that much. */
const MIN_GROWN_BYTES = 64 * 2 ** 20;
/** Largest pipe that the recorder counts on (fs.pipe-max-size), and what `grows` writes to each. */
const MAX_PIPE = 2 ** 20;
const PIPE_BYTES = 2 ** 16;
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

/** What the pipes that are listed for `grows` hold, by the program's own figure, of the growth between two lists. */
function shareInPipes(file: string): number {
  const texts = readRing(file).records.map(({ text }) => text);
  const pipes = texts.flatMap((text) => {
    const list = storedRecordedHolders(text);
    const own = list?.holders.find(({ scan, name }) => scan === 'pipes' && name.startsWith('grows '));
    return list && own ? [{ uptime: list.uptimeSeconds, bytes: (own.bytes / MAX_PIPE) * PIPE_BYTES }] : [];
  });
  const [first, last] = [pipes[0]!, pipes.at(-1)!];
  expect(last.uptime).toBeGreaterThan(first.uptime);
  const unattributedAt = (uptime: number) =>
    texts
      .map((text) => (text.includes('watch-sample/1') ? storedWatchSample(text) : null))
      .find((sample) => sample?.look.machine.uptimeSeconds === uptime)!
      .ledger!.categories.get('unattributed')!;
  return (last.bytes - first.bytes) / (unattributedAt(last.uptime) - unattributedAt(first.uptime));
}

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
    await guest.run('until [ -e /disk/ring ] && grep -q recorded-holders /disk/ring; do sleep 1; done');
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
    // The kernel tells no other process what a pipe contains: the owner is known by its pipes, with a bound.
    if (kind === 'pipes') {
      expect(ownerShare).toBeNull();
      expect(boundBytes).toBeGreaterThanOrEqual(Number(grownBytes));
      expect(shareInPipes(ring)).toBeGreaterThanOrEqual(0.95);
      return;
    }
    expect(ownerBytes).toBeGreaterThan(MIN_GROWN_BYTES);
    expect(ownerShare).toBeGreaterThanOrEqual(0.95);
  },
);
