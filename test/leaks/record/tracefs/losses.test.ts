import { expect, test } from 'vitest';
import { CpuStream } from '../../../../src/leaks/record/tracefs/cpu-stream.js';
import { gapsOf, lostEvents } from '../../../../src/leaks/record/tracefs/drain.js';
import { KERNELS, pagesOf, planOf, streamOf } from './streams.js';

test.each([
  [0, 0, 0],
  [3, 7, 7],
  [7, 3, 7],
  // Pages are missing, and no counter knows of it.
  [null, 0, null],
  [null, 7, 7],
  [0, null, null],
  [3, null, 3],
  [null, null, null],
])('of %s by pages and %s by counters %s were lost', (read, counted, lost) => {
  expect(lostEvents(read, counted)).toBe(lost);
});

test('a damaged page is no loss of nothing', () => {
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

test('stacks that found no room, and functions without names, are told', () => {
  expect(gapsOf(0, true)).toEqual([]);
  expect(gapsOf(9, false)).toEqual([
    { code: 'sites', source: 'tracefs', count: 9 },
    { code: 'unreadable', source: '/proc/kallsyms', count: 1 },
  ]);
});
