import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { processFdsSchema } from '../../../../src/contracts/process.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { kdumpMem } from '../../../support/cli.js';

const MIB = 2 ** 20;
const BYTES = 1600 * MIB;

/** Starts a program that prints a line once it holds its memory, and ends it after use. */
async function whileHeld(program: string, use: (pid: number) => Promise<void>): Promise<void> {
  const child: ChildProcess = spawn('python3', ['-c', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const ready = await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')]);
    expect(String(ready[0]).trim()).toBe('ready');
    await use(child.pid ?? 0);
  } finally {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
}

const near = (bytes: number, made: number, share: number) =>
  expect(Math.abs(bytes - made) / made).toBeLessThanOrEqual(share);

describe.skipIf(existsSync('/proc/kcore') || process.geteuid?.() !== 0)(
  'holders on this machine (needs root, and no /proc/kcore)',
  () => {
    test('many small memfds of one process: owner and amount, and the next command shows both', async () => {
      const program = `
import os, sys
open('/proc/self/comm', 'w').write('many-memfds')
kept = [os.memfd_create('part') for _ in range(200)]
for fd in kept:
    os.posix_fallocate(fd, 0, ${BYTES} // 200)
print('ready', flush=True)
sys.stdin.read()`;
      await whileHeld(program, async (pid) => {
        const { stdout } = await kdumpMem('triage', '--json');
        const { findings, holders } = triageSchema.parse(JSON.parse(stdout));
        const own = findings.filter(({ code, figures }) => code === 'shared-memory' && figures.pid === pid);
        expect(own).toMatchObject([{ figures: { comm: 'many-memfds', files: 200, mapped: 0 } }]);
        near(Number(own[0]?.figures.bytes), BYTES, 0.1);
        const others = holders?.largest ?? [];
        // Other programs of this machine may hold more.
        const isListed = others.some((one) => one.kind === 'unmapped' && one.pid === pid);
        expect(isListed || others.every(({ bytes }) => bytes >= BYTES)).toBe(true);
        expect(own[0]?.next).toBe(`procs --pid ${pid} --fds`);
        const shown = await kdumpMem(...own[0]!.next!.split(' '), '--live', '--json');
        const answer = processFdsSchema.parse(JSON.parse(shown.stdout));
        expect(answer.pid).toBe(pid);
        near(answer.groups.find(({ kind }) => kind === 'memfd')?.bytes ?? 0, BYTES, 0.05);
      });
    });

    test('many small processes of one name: a holder without a finding, in the first lines', async () => {
      // Each child ends with its parent: then nobody can write to the pipe.
      const program = `
import os
end, kept = os.pipe()
done, began = os.pipe()
for _ in range(20):
    if os.fork() == 0:
        os.close(kept)
        open('/proc/self/comm', 'w').write('small-worker')
        held = bytearray(b'x' * (${BYTES} // 40)) * 2
        os.write(began, b'.')
        os.read(end, 1)
        os._exit(0)
for _ in range(20):
    os.read(done, 1)
print('ready', flush=True)
os.read(0, 1)`;
      await whileHeld(program, async () => {
        const { stdout } = await kdumpMem('triage', '--json');
        const { findings, holders } = triageSchema.parse(JSON.parse(stdout));
        expect(findings.filter(({ figures }) => figures.comm === 'small-worker')).toEqual([]);
        const largest = holders?.largest ?? [];
        const own = largest.find(({ name }) => name === 'small-worker');
        // Other programs of this machine may hold more.
        if (largest.some(({ bytes }) => bytes < BYTES)) expect(own).toMatchObject({ kind: 'program', processes: 20 });
        if (own) near(own.bytes, BYTES, 0.1);
        // The next command of a machine without findings lists what holds most memory.
        const shown = await kdumpMem('procs', '--live', '--by', 'command', '--json');
        const groups: { key: string; processes: number }[] = JSON.parse(shown.stdout).groups;
        expect(groups.find(({ key }) => key === 'small-worker')?.processes).toBe(20);
      });
    });
  },
);
