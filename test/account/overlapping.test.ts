import { expect, test } from 'vitest';
import { PageCounts } from '../../src/account/counts.js';
import { overlapping } from '../../src/account/pooled.js';

function faults(...pages: readonly (readonly [frame: number, order: number | undefined])[]) {
  const counts = new PageCounts();
  for (const [frame, order] of pages) counts.count(frame, order, 1, 1);
  return [...overlapping(counts)];
}

test('accepts adjacent allocations', () => {
  expect(faults([0, 3], [8, 3], [16, 4], [32, 0], [33, undefined], [34, 1])).toEqual([]);
});

test('reports an allocation within another, in any order', () => {
  const fault = ['page frame 24 is held, but is part of the 16-page block at 16, which is held too'];
  expect(faults([16, 4], [24, 3])).toEqual(fault);
  expect(faults([24, 3], [16, 4])).toEqual(fault);
});

test('reports the last page of another allocation, but not the page behind it', () => {
  expect(faults([0, 6], [63, 0], [64, 0])).toEqual([
    'page frame 63 is held, but is part of the 64-page block at 0, which is held too',
  ]);
});
