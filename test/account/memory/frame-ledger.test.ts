import { expect, test } from 'vitest';
import { FrameLedger } from '../../../src/account/memory/frame-ledger.js';
import { CATEGORIES, categoryFacts } from '../../../src/records/categories.js';
import { KINDS, type PageKind } from '../../../src/records/page-kinds.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { KIND } from '../../../src/walk/memory/page-kinds.js';

/** A ledger of frames 8 to 8 + n, with these kinds. */
function ledgerOf(...kinds: readonly PageKind[]): FrameLedger {
  const map = new FrameMap([{ start: 8, end: 8 + kinds.length }]);
  return new FrameLedger(
    map,
    Uint8Array.from(kinds, (kind) => KIND[kind]),
  );
}

test('assigns exactly one category to each kind, and a group to each category', () => {
  for (const kind of KINDS) {
    const own = CATEGORIES.filter((category) => categoryFacts(category).kinds?.includes(kind));
    expect(own, kind).toHaveLength(1);
  }
});

test('assigns a frame to the first walk that claims it, and reports its category to others', () => {
  const ledger = ledgerOf('held', 'held');
  expect(ledger.claim('kernel-stacks', 8)).toBe(true);
  expect(ledger.claim('vmalloc', 8, 'kernel_clone')).toBe(false);
  expect(ledger.claim('vmalloc', 9, 'kernel_clone')).toBe(true);
  ledger.close();
  expect([8, 9].map((frame) => ledger.categoryOf(frame))).toEqual(['kernel-stacks', 'vmalloc']);
  expect(ledger.elsewhere('vmalloc')).toEqual([{ category: 'kernel-stacks', frames: 1 }]);
  expect([...ledger.ownersOf('vmalloc')]).toEqual([['kernel_clone', 1]]);
});

test('keeps a file page that is in a queue in the page cache', () => {
  const ledger = ledgerOf('file', 'held');
  expect(ledger.claimBlock('network-sockets', 8, 1)).toBe(1);
  ledger.close();
  expect(ledger.categoryOf(8)).toBe('page-cache');
  expect(ledger.categoryOf(9)).toBe('network-sockets');
  expect(ledger.elsewhere('network-sockets')).toEqual([{ category: 'page-cache', frames: 1 }]);
});

test('reports a free page that has a holder', () => {
  const ledger = ledgerOf('free', 'unreferenced');
  ledger.claim('free-cpu-lists', 9);
  ledger.claim('network-sockets', 8);
  ledger.claim('network-sockets', 9);
  expect(ledger.freeButHeld('network-sockets')).toBe(2);
  expect(ledger.categoryOf(9)).toBe('free-cpu-lists');
});

test('refuses and counts claims of frames outside RAM', () => {
  const ledger = ledgerOf('held');
  expect(ledger.claim('pipes', 7)).toBe(false);
  expect(ledger.outside('pipes')).toBe(1);
  expect(ledger.categoryOf(7)).toBeUndefined();
});

test('assigns pages without references to the preceding one, within its aligned block', () => {
  // Frame 8 can begin a block of eight, frame 14 one of two.
  const ledger = ledgerOf(
    'held',
    'unreferenced',
    'unreferenced',
    'held',
    'unreferenced',
    'slab',
    'held',
    'unreferenced',
    'unreferenced',
  );
  ledger.claim('tables', 8);
  ledger.claim('rings', 14);
  ledger.close();
  expect(Array.from({ length: 9 }, (_, index) => ledger.categoryOf(8 + index))).toEqual([
    'tables',
    'tables',
    'tables',
    'unattributed',
    'unattributed',
    'slab-unreclaimable',
    'rings',
    'rings',
    'unattributed',
  ]);
});

test('sums categories up to all frames, for any claims', () => {
  const ledger = ledgerOf(...KINDS);
  for (const category of CATEGORIES)
    for (let frame = 8; frame < 8 + KINDS.length; frame += 3) ledger.claim(category, frame);
  ledger.close();
  const sums = [...ledger.sums().values()];
  expect(sums.reduce((sum, frames) => sum + frames, 0)).toBe(KINDS.length);
  for (const category of CATEGORIES)
    expect([...ledger.framesOf(category)]).toHaveLength(ledger.sums().get(category) ?? -1);
});

test('gives pages that were on their way between free lists to these, and keeps those that look the same twice', () => {
  const ledger = ledgerOf('unreferenced', 'held', 'unreferenced', 'unreferenced', 'file', 'unreferenced');
  ledger.claim('vmalloc', 13);
  ledger.close();
  const looked: number[] = [];
  ledger.settle(new Set([8, 9, 13]), (frame) => looked.push(frame) > 0 && frame === 11);
  expect(looked).toEqual([10, 11]);
  const categories = [8, 9, 10, 11, 12, 13].map((frame) => ledger.categoryOf(frame));
  const [listed, unknown] = ['free-cpu-lists', 'unattributed'];
  expect(categories).toEqual([listed, unknown, unknown, listed, 'page-cache', 'vmalloc']);
  expect(ledger.sums().get('free-cpu-lists')).toBe(2);
});
