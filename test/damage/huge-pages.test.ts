import { afterAll, expect, test } from 'vitest';
import { openNative } from '../../src/kernel/native/open.js';
import { memoryUse } from '../../src/walk/pages/vm-counters.js';
import { type Damage, damagedKernel } from '../support/damaged-kernel.js';
import { fixture } from '../support/fixtures.js';
import { littleEndian } from '../support/little-endian.js';

const kernel = openNative({ files: [fixture('6.1').vmcore] });
afterAll(() => kernel.close());

const first = kernel.symbol('hstates')!;
const word = (member: string, value: bigint, length: number) => ({
  address: first + BigInt(kernel.struct('hstate')!.member(member)!.offset),
  bytes: littleEndian(value, length),
});
const used = (order: bigint, pages: bigint): Damage => ({
  patches: [word('order', order, 4), word('nr_huge_pages', pages, 8)],
  denials: [],
});

test('counts huge pages as base pages', () => {
  expect(memoryUse(damagedKernel(kernel, used(18n, 3n))).huge).toBe(3 * 2 ** 18);
});

test.each([
  [0n, 0n, 'huge pages of order 0'],
  [31n, 0n, 'huge pages of order 31'],
  // 2^(2^32 - 1) is Infinity, and 0 pages of that size would be NaN.
  [0xffff_ffffn, 0n, 'huge pages of order 4294967295'],
])('order %d, %d pages: an error names the order', (order, pages, message) => {
  expect(() => memoryUse(damagedKernel(kernel, used(order, pages)))).toThrow(
    expect.objectContaining({ code: 'damaged', message }),
  );
});
