import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asked } from '../figure-lines.js';

/** Counters of the whole machine: two programs read the same values only from a copy in place of each file. */
const COUNTERS = ['meminfo', 'zoneinfo', 'vmstat', 'buddyinfo'];
const folder = mkdtempSync(join(tmpdir(), 'figures-'));

beforeAll(() => {
  for (const name of COUNTERS) {
    writeFileSync(join(folder, name), readFileSync(`/proc/${name}`));
    execFileSync('mount', ['--bind', join(folder, name), `/proc/${name}`]);
  }
});

afterAll(() => {
  for (const name of COUNTERS) execFileSync('umount', [`/proc/${name}`]);
  rmSync(folder, { recursive: true });
});

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
    for (const name of ['total', 'free', 'shared', 'buff/cache', 'available'])
      expect.soft(lines.get(name)?.kernelBytes, name).toBe(free.get(name));
    // By categories too, even if the kernel has not initialized all struct pages.
    expect(lines.get('total')?.bytes).toBe(free.get('total'));
    if (source === 'counters') expect(lines.get('free')?.bytes).toBe(free.get('free'));
    else expect(lines.get('free')?.bytes).toBeGreaterThan(0);
    // One of two values, depending on the version of procps.
    expect(['used (procps 4)', 'used (before)'].map((name) => lines.get(name)?.kernelBytes)).toContain(
      free.get('used'),
    );
  });

  test('has the lines of /proc/meminfo', async () => {
    const lines = await asked('meminfo', '--live', '--source', source);
    const text = readFileSync('/proc/meminfo', 'utf8');
    const now = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
    for (const name of ['MemTotal', 'MemFree', 'MemAvailable', 'Shmem', 'Slab', 'AnonPages', 'PageTables'])
      expect.soft(lines.get(name)?.kernelBytes, name).toBe(now(name));
  });
});
