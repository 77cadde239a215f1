import { expect, test } from 'vitest';
import { memoryUse } from '../../src/walk/pages/vm-counters.js';
import { type Damage, together } from '../support/damaged-kernel.js';
import { fixtureKernel } from '../support/opened-kernel.js';

const { set, damagedBy } = fixtureKernel('6.1');

const used = (order: bigint, pages: bigint): Damage =>
  together(set('hstates', 'hstate.order', order), set('hstates', 'hstate.nr_huge_pages', pages));

test('counts huge pages as base pages', () => {
  expect(memoryUse(damagedBy(used(18n, 3n))).huge).toBe(3 * 2 ** 18);
});

test.each([
  [0n, 0n, 'huge pages of order 0'],
  [31n, 0n, 'huge pages of order 31'],
  // 2^(2^32 - 1) is Infinity, and 0 pages of that size would be NaN.
  [0xffff_ffffn, 0n, 'huge pages of order 4294967295'],
])('order %d, %d pages: an error names the order', (order, pages, message) => {
  expect(() => memoryUse(damagedBy(used(order, pages)))).toThrow(expect.objectContaining({ code: 'damaged', message }));
});
