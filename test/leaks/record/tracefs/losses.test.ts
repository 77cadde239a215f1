import { expect, test } from 'vitest';
import { CpuStream } from '../../../../src/leaks/record/tracefs/cpu-stream.js';
import { gapsOf, lostEvents } from '../../../../src/leaks/record/tracefs/drain.js';
import { KERNELS, pagesOf, planOf, streamOf } from './streams.js';

test.each([
  [0, 0, 0],
  [3, 7, 7],
  [7, 3, 7],
  // Pages are missing, but no counter shows it.
  [null, 0, null],
  [null, 7, 7],
  [0, null, null],
  [3, null, 3],
  [null, null, null],
])('computes from %s lost by pages and %s by counters: %s', (read, counted, lost) => {
  expect(lostEvents(read, counted)).toBe(lost);
});

test('reports a loss of unknown size for a damaged page', () => {
  const stream = streamOf(KERNELS[0]!);
  const cpu = new CpuStream(planOf(stream));
  const [page] = pagesOf(stream.allocations);
  const damaged = Buffer.from(page!);
  // The first event is longer than the page.
  damaged.writeUInt32LE(0, 16);
  damaged.writeUInt32LE(0xffff_fff0, 20);
  cpu.page(damaged, damaged.length);
  expect(cpu.strange).toBe(1);
  expect(lostEvents(cpu.missedEvents, 0)).toBeNull();
});

test('reports dropped stacks and functions without names', () => {
  expect(gapsOf(0, true)).toEqual([]);
  expect(gapsOf(9, false)).toEqual([
    { code: 'sites', source: 'tracefs', count: 9 },
    { code: 'unreadable', source: '/proc/kallsyms', count: 1 },
  ]);
});
