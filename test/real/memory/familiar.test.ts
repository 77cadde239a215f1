import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { memorySchema } from '../../../src/report/memory/schema.js';
import { kdumpMem } from '../../support/cli.js';
import { drgnJson } from '../../support/drgn.js';
import { labDump } from '../../support/lab.js';

const asked = async (which: string, ...source: string[]) => {
  const { stdout } = await kdumpMem('memory', '--as', which, '--json', ...source);
  const { familiar } = memorySchema.parse(JSON.parse(stdout));
  return new Map((familiar?.lines ?? []).map((line) => [line.name, line]));
};

describe.each(['5.10', '6.1', '6.12', 'newest'] as const)('a dump of %s', (kernel) => {
  const { elf } = labDump(kernel);

  test('has the lines of /proc/meminfo that drgn finds, and rows make them up', async () => {
    const lines = await asked('meminfo', '--vmcore', elf);
    const drgn = drgnJson<Record<string, number>>(
      elf,
      kernel,
      new URL('meminfo.py', import.meta.url),
    );
    expect(Object.keys(drgn).length).toBeGreaterThanOrEqual(7);
    for (const [name, bytes] of Object.entries(drgn))
      expect.soft(lines.get(name)?.kernelBytes, name).toBe(bytes);
    for (const { name, bound, bytes, kernelBytes } of lines.values()) {
      if (bytes === null || kernelBytes === null) continue;
      if (bound === 'same' && name !== 'KernelStack') expect.soft(bytes, name).toBe(kernelBytes);
      if (bound === 'at-most') expect.soft(kernelBytes, name).toBeLessThanOrEqual(bytes);
      if (bound === 'at-least') expect.soft(kernelBytes, name).toBeGreaterThanOrEqual(bytes);
    }
    const { stdout } = await kdumpMem('memory', '--as', 'free', '--vmcore', elf);
    expect(stdout).toMatch(/^FREE +BY ROWS +KERNEL COUNTS +DIFFERENCE +ROWS$/m);
    expect(stdout).toMatch(/^In no line but the first: .*network: queues of sockets/m);
  });
});

/** So much may come and go on this machine between two programs. */
const MOVES = 1 << 30;

describe.each(['pageflags', 'counters'])('this machine by %s', (source) => {
  test('has the figures of free -b', async () => {
    const lines = await asked('free', '--live', '--source', source);
    const [heads = '', figures = ''] = execFileSync('free', ['-b'], { encoding: 'utf8' }).split(
      '\n',
    );
    const free = new Map(
      heads
        .trim()
        .split(/\s+/)
        .map((head, index) => [head, Number(figures.trim().split(/\s+/)[index + 1])]),
    );
    expect(lines.get('total')?.kernelBytes).toBe(free.get('total'));
    for (const name of ['free', 'shared', 'buff/cache', 'available'])
      expect
        .soft(Math.abs((lines.get(name)?.kernelBytes ?? Number.NaN) - (free.get(name) ?? 0)), name)
        .toBeLessThan(MOVES);
    const used = ['used (procps 4)', 'used (before)'].map((name) => lines.get(name)?.kernelBytes);
    // One of both, by the version of procps.
    expect(
      Math.min(...used.map((bytes) => Math.abs((bytes ?? Number.NaN) - (free.get('used') ?? 0)))),
    ).toBeLessThan(MOVES);
  });

  test('has the lines of /proc/meminfo', async () => {
    const lines = await asked('meminfo', '--live', '--source', source);
    const text = readFileSync('/proc/meminfo', 'utf8');
    const now = (name: string) =>
      Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
    expect(lines.get('MemTotal')?.kernelBytes).toBe(now('MemTotal'));
    for (const name of ['MemFree', 'MemAvailable', 'Shmem', 'Slab', 'AnonPages', 'PageTables'])
      expect
        .soft(Math.abs((lines.get(name)?.kernelBytes ?? Number.NaN) - now(name)), name)
        .toBeLessThan(MOVES);
  });
});
