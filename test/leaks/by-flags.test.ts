import { expect, test } from 'vitest';
import { HostError } from '../../src/base/errors.js';
import type { FrameFile } from '../../src/host/proc/frames/frame-files.js';
import { lookupByFlags } from '../../src/leaks/survivors/lookup.js';
import { survivor } from './made-recording.js';

// Bit numbers of include/uapi/linux/kernel-page-flags.h.
const bit = (...numbers: number[]) => numbers.reduce((word, number) => word + 2 ** number, 0);
const [UPTODATE, LRU, SLAB, BUDDY, ANON, SWAPBACKED] = [3, 5, 7, 10, 12, 14];
const [HEAD, TAIL, NOPAGE, PGTABLE] = [15, 16, 20, 26];

/** A machine whose frames have these words, starting at frame 64. */
function flagsOf(...words: number[]): FrameFile {
  const all = Buffer.alloc(8 * (64 + words.length));
  words.forEach((word, at) => {
    all.writeBigUInt64LE(BigInt(word), 8 * (64 + at));
  });
  return { words: (first, count) => all.subarray(8 * first, 8 * (first + count)), close: () => undefined };
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
  // A page of a driver or a socket, an unreferenced one, or one in a per-CPU free list.
  ['flags-only', 0],
])('reads page flags as %s', (place, word) => {
  expect(placeOf([word])).toBe(place);
});

const TAILS = (count: number) => Array.from({ length: count }, () => bit(TAIL));

test('locates a block by its head, even if its first frame is free meanwhile', () => {
  expect(placeOf([bit(HEAD, SLAB), ...TAILS(7), 0], 3)).toBe('slab');
  expect(placeOf([bit(HEAD, SLAB), ...TAILS(7), 0], 3, 3)).toBe('slab');
  expect(placeOf([bit(BUDDY), 0, bit(LRU, UPTODATE), 0, 0, 0, 0, 0, 0], 3, 2)).toBe('page-cache');
});

test('reports frames that cross the bounds of the block as reused', () => {
  expect(placeOf([bit(HEAD, SLAB), ...TAILS(15)], 3)).toBe('reused');
  expect(placeOf([bit(HEAD, SLAB), ...TAILS(15)], 3, 8)).toBe('reused');
  expect(placeOf([bit(HEAD, SLAB), ...TAILS(7), bit(HEAD, SLAB), ...TAILS(7)], 3, 8)).toBe('slab');
  // Split: the parts are no larger.
  expect(placeOf([bit(HEAD, SLAB), bit(TAIL), ...Array(7).fill(0)], 3)).toBe('slab');
});

test('reports a frame beyond the end as missing, and an unreadable one as unknown', () => {
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

test('reports objects as unknown, since flags do not describe them', () => {
  const lookup = lookupByFlags(flagsOf(bit(SLAB)), 'slab', []);
  expect(lookup.of(survivor('s', { place: 0xffff_8880_0000_1000n }))).toMatchObject({
    place: 'unknown',
    why: 'flags-only',
  });
});
