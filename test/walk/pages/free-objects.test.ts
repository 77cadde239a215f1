import { expect, test } from 'vitest';
import { FreeList } from '../../../src/walk/pages/free-objects.js';
import { made, madeKernel } from '../../support/made-kernel.js';

const RANDOM = 0x1234_5678_9abc_def1n;
const [CACHE, OFFSET] = [0, 16] as const;
const OBJECTS = [0x1000, 0x1040, 0x1080] as const;

const swapped = (value: bigint) => Buffer.from(value.toString(16).padStart(16, '0'), 'hex').readBigUInt64LE();

/** Three free objects, each with the obfuscated address of the next. */
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
  ['since 5.7, XORed with the byte-swapped address', (next, at) => next ^ RANDOM ^ swapped(at)],
  ['before 5.7, XORed with the address as it is', (next, at) => next ^ RANDOM ^ at],
])('follows a hardened freelist %s', (_, scramble) => {
  expect(freeObjects(scramble)).toEqual(OBJECTS.map(made));
});

test('follows a freelist of plain addresses', () => {
  expect(freeObjects((next) => next, { offset: 0 })).toEqual(OBJECTS.map(made));
});

test('reports a next pointer that is valid in neither form as damage', () => {
  expect(() => freeObjects((next) => next ^ 0x4000_0000_0000_0000n)).toThrow(/the free list of CPU 0 leads to 0x/);
});
