import { expect, test } from 'vitest';
import { shareOut } from '../../../src/app/triage/jobs.js';

const GIB = 2 ** 30;

test.each<[Parameters<typeof shareOut>[0], number, number, number]>([
  // A pod without a CPU limit sees all CPUs of its node.
  [{}, 64, 4 * GIB, 6],
  [{}, 2, 24 * GIB, 2],
  [{}, 8, GIB / 4, 1],
  [{ workerMemory: 2 * GIB }, 64, 10 * GIB, 4],
  [{ jobs: 20 }, 64, 4 * GIB, 20],
])('%j on %i CPUs with %i bytes reads %i dumps in parallel', (options, cpus, memory, expected) => {
  const { atOnce, bytes } = shareOut(options, cpus, memory);
  expect(atOnce).toBe(expected);
  expect(bytes).toBe(options.workerMemory ?? Math.floor((0.8 * memory) / expected));
});

test('refuses so many jobs that each of them would fail', () => {
  expect(() => shareOut({ jobs: 4096 }, 64, 4 * GIB)).toThrow(/too little memory, 819 KiB for each/);
  expect(shareOut({ jobs: 1 }, 1, GIB / 10).atOnce).toBe(1);
});
