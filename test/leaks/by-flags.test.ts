import { expect, test } from 'vitest';
import { HostError } from '../../src/base/errors.js';
import type { FrameFile } from '../../src/host/proc/frames/frame-files.js';
import { lookupByFlags } from '../../src/leaks/survivors/lookup.js';
import { survivor } from './made-recording.js';

// Bits of include/uapi/linux/kernel-page-flags.h, by number.
const bit = (...numbers: number[]) => numbers.reduce((word, number) => word + 2 ** number, 0);
const [UPTODATE, LRU, SLAB, BUDDY, ANON, SWAPBACKED] = [3, 5, 7, 10, 12, 14];
const [HEAD, TAIL, NOPAGE, PGTABLE] = [15, 16, 20, 26];

/** A machine whose frames have these words, from frame 64 on. */
function flagsOf(...words: number[]): FrameFile {
  const all = Buffer.alloc(8 * (64 + words.length));
  words.forEach((word, at) => {
    all.writeBigUInt64LE(BigInt(word), 8 * (64 + at));
  });
  return {
    words: (first, count) => all.subarray(8 * first, 8 * (first + count)),
    close: () => undefined,
  };
}

function placeOf(words: number[], order: number | null = 0, at = 0) {
  const lookup = lookupByFlags(flagsOf(...words), 'page', []);
  const { place, why } = lookup.of(survivor('s', { place: BigInt(64 + at), order }));
  return why === null ? place : why;
}

test.each([
  ['free', bit(BUDDY)],
  ['slab', bit(SLAB)],
  ['page-table', bit(PGTABLE)],
  ['anonymous', bit(ANON, LRU, SWAPBACKED)],
  ['page-cache', bit(LRU, UPTODATE)],
  ['shared', bit(LRU, UPTODATE, SWAPBACKED)],
  ['no-such-frame', bit(NOPAGE)],
  // A driver's, a socket's, nobody's, or in a list of a CPU.
  ['flags-only', 0],
])('flags say %s', (place, word) => {
  expect(placeOf([word])).toBe(place);
});

const TAILS = (count: number) => Array.from({ length: count }, () => bit(TAIL));

test('a block is what its head says, also where the first frame is free by now', () => {
  expect(placeOf([bit(HEAD, SLAB), ...TAILS(7), 0], 3)).toBe('slab');
  expect(placeOf([bit(HEAD, SLAB), ...TAILS(7), 0], 3, 3)).toBe('slab');
  expect(placeOf([bit(BUDDY), 0, bit(LRU, UPTODATE), 0, 0, 0, 0, 0, 0], 3, 2)).toBe('page-cache');
});

test('what reaches beyond the block, or begins before it, was taken since', () => {
  expect(placeOf([bit(HEAD, SLAB), ...TAILS(15)], 3)).toBe('reused');
  expect(placeOf([bit(HEAD, SLAB), ...TAILS(15)], 3, 8)).toBe('reused');
  expect(placeOf([bit(HEAD, SLAB), ...TAILS(7), bit(HEAD, SLAB), ...TAILS(7)], 3, 8)).toBe('slab');
  // Split: parts are no larger.
  expect(placeOf([bit(HEAD, SLAB), bit(TAIL), ...Array(7).fill(0)], 3)).toBe('slab');
});

test('a frame beyond the end is none, and one that cannot be read is not known', () => {
  expect(placeOf([], 0, 5)).toBe('no-such-frame');
  const broken: FrameFile = {
    words: () => {
      throw new HostError('unreadable', '/proc/kpageflags cannot be read');
    },
    close: () => undefined,
  };
  const lookup = lookupByFlags(broken, 'page', []);
  expect(lookup.of(survivor('s'))).toMatchObject({ place: 'unknown', why: 'unreadable' });
});

test('objects have no frame that flags could tell of', () => {
  const lookup = lookupByFlags(flagsOf(bit(SLAB)), 'slab', []);
  expect(lookup.of(survivor('s', { place: 0xffff_8880_0000_1000n }))).toMatchObject({
    place: 'unknown',
    why: 'flags-only',
  });
});
