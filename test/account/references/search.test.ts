import { expect, test } from 'vitest';
import { SplitBlocks } from '../../../src/account/references/search.js';

/** Frames with a pointer to the first byte (`!`), into them (`~`), without one (`.`), or of other allocations (`_`). */
function following(frames: string, tables: readonly number[] = []): number[] {
  const blocks = new SplitBlocks((frame) => tables.includes(frame));
  return [...frames].flatMap((kind, frame) => {
    if (kind === '!' || kind === '~') blocks.referenced(frame, kind === '!');
    return kind === '.' && blocks.follows(frame) ? [frame] : [];
  });
}

test.each([
  ['the rest of the aligned block, and no more', '____!.......', [5, 6, 7]],
  ['a page after a gap is not part of the block', '____!._.', [5]],
  ['a pointer into a page starts no block', '____~...', []],
  ['a page with a pointer within a block continues it', '____!.~.', [5, 7]],
  ['an odd frame is a block of its own', '_____!..', []],
  ['no page before it', '........', []],
])('following pages of a block: %s', (_, frames, pages) => {
  expect(following(frames)).toEqual(pages);
});

test('following pages of a hash table belong to its aligned block', () => {
  expect(following('________________....', [8, 9, 10, 11, 12, 13, 14, 15])).toEqual([]);
  expect(following('____________........', [8, 9, 10, 11])).toEqual([12, 13, 14, 15]);
});
