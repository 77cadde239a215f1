import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { asked } from '../figure-lines.js';

/** Bytes that may change on this machine between two programs. */
const MOVES = 1 << 30;

describe.each(['pageflags', 'counters'])('this machine by %s', (source) => {
  test('has the figures of free -b', async () => {
    const lines = await asked('free', '--live', '--source', source);
    const [heads = '', figures = ''] = execFileSync('free', ['-b'], { encoding: 'utf8' }).split('\n');
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
    // By categories too, even if the kernel has not initialized all struct pages.
    expect(lines.get('total')?.bytes).toBe(free.get('total'));
    expect(Math.abs((lines.get('free')?.bytes ?? Number.NaN) - (free.get('free') ?? 0))).toBeLessThan(MOVES);
    const used = ['used (procps 4)', 'used (before)'].map((name) => lines.get(name)?.kernelBytes);
    // One of two values, depending on the version of procps.
    expect(Math.min(...used.map((bytes) => Math.abs((bytes ?? Number.NaN) - (free.get('used') ?? 0))))).toBeLessThan(
      MOVES,
    );
  });

  test('has the lines of /proc/meminfo', async () => {
    const lines = await asked('meminfo', '--live', '--source', source);
    const text = readFileSync('/proc/meminfo', 'utf8');
    const now = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
    expect(lines.get('MemTotal')?.kernelBytes).toBe(now('MemTotal'));
    for (const name of ['MemFree', 'MemAvailable', 'Shmem', 'Slab', 'AnonPages', 'PageTables'])
      expect.soft(Math.abs((lines.get(name)?.kernelBytes ?? Number.NaN) - now(name)), name).toBeLessThan(MOVES);
  });
});
