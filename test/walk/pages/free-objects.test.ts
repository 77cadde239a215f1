import { expect, test } from 'vitest';
import { FreeList } from '../../../src/walk/pages/free-objects.js';
import { made, madeKernel } from '../../support/made-kernel.js';

const RANDOM = 0x1234_5678_9abc_def1n;
const [CACHE, OFFSET] = [0, 16] as const;
const OBJECTS = [0x1000, 0x1040, 0x1080] as const;

const swapped = (value: bigint) =>
  Buffer.from(value.toString(16).padStart(16, '0'), 'hex').readBigUInt64LE();

/** Three free objects, each with the scrambled address of the next. */
function freeObjects(
  scramble: (next: bigint, at: bigint) => bigint,
  members: Readonly<Record<string, number>> = { offset: 0, random: 8 },
): bigint[] {
  const words: Record<number, bigint> = { [CACHE]: BigInt(OFFSET), [CACHE + 8]: RANDOM };
  for (const [index, object] of OBJECTS.entries()) {
    const next = OBJECTS[index + 1];
    words[object + OFFSET] = scramble(next === undefined ? 0n : made(next), made(object + OFFSET));
  }
  const kernel = madeKernel({ structs: { kmem_cache: { size: 64, members } }, words });
  return [...new FreeList(kernel, made(CACHE)).from(made(OBJECTS[0]), 3, 'CPU 0')];
}

test.each<[string, (next: bigint, at: bigint) => bigint]>([
  ['since 5.7, with the bytes of the place swapped', (next, at) => next ^ RANDOM ^ swapped(at)],
  ['before, with the place as it is', (next, at) => next ^ RANDOM ^ at],
])('a hardened list %s', (_, scramble) => {
  expect(freeObjects(scramble)).toEqual(OBJECTS.map(made));
});

test('a list of plain addresses', () => {
  expect(freeObjects((next) => next, { offset: 0 })).toEqual(OBJECTS.map(made));
});

test('a next one that is an address by neither form is damage', () => {
  expect(() => freeObjects((next) => next ^ 0x4000_0000_0000_0000n)).toThrow(
    /the free list of CPU 0 leads to 0x/,
  );
});
