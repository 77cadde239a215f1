import { describe, expect, test } from 'vitest';
import { Tally } from '../../../src/account/tally.js';
import { PageReader } from '../../../src/walk/pages/pages.js';
import { SkbLists } from '../../../src/walk/queues/skb-lists.js';
import { SkbReader } from '../../../src/walk/skbs/skb.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { type Damage, damagedKernel } from '../../support/damaged-kernel.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

const { kernel, truth, addressOf, read, set, damagedBy } = fixtureKernel('6.1');

const starving = truth.sockets.find(({ queues }) => (queues.receive?.orders[3] ?? 0) > 0)!;

/** First frames of the eight-page allocations that the skbs of the socket pin. */
const heads = (() => {
  const tally = new Tally(kernel.facts.pageSize, new Warnings());
  const reader = new SkbReader(kernel, new PageReader(kernel));
  const queue = addressOf(BigInt(starving.sock), 'sock.sk_receive_queue');
  for (const skb of new SkbLists(kernel).ring(queue)) reader.read(skb, tally);
  return [...tally.pages()].filter(({ order }) => order === 3).map(({ frame }) => frame);
})();
const [head = 0] = heads;
const page = (frame: number) => kernel.pages.pageOfFrame(frame);

test('finds as many order-3 allocations of eight pages as drgn', () => {
  expect(heads).toHaveLength(starving.queues.receive?.orders[3] ?? 0);
  const reader = new PageReader(kernel);
  // A fixture contains only those tail pages that were read when it was made: for the first head, the next page.
  for (const [frame, at] of [...heads.map((frame) => [frame, frame] as const), [head, head + 1]]) {
    const block = reader.block(page(at));
    expect(block).toMatchObject({ kind: 'page', frame, order: 3, free: false });
  }
});

test('reports the slab of an skb with its first page and slot size', () => {
  const skb = read(BigInt(starving.sock), 'sock.sk_receive_queue.next');
  const reader = new PageReader(kernel);
  const block = reader.block(kernel.pages.pageOf(skb)!);
  if (block.kind !== 'slab') throw new Error('it lies in no slab');
  expect(block.cache.slotSize).toBe(256);
  expect((skb - block.start) % 256n).toBe(0n);
  const row = reader.row(block.frame);
  expect(reader.inOneSlot(row, skb, skb + 255n)).toBe(true);
  expect(reader.inOneSlot(row, skb, skb + 256n)).toBe(false);
});

describe('reports impossible values as damage:', () => {
  test.each<[string, () => Damage, number, RegExp]>([
    [
      'a tail page whose head is not a head',
      () => set(page(head + 1), 'page.compound_head', page(head + 2) + 1n),
      1,
      /the tail page 0x[0-9a-f]+ leads to 0x[0-9a-f]+, which is not a compound head/,
    ],
    ['an order above the maximum', () => set(page(head + 1), 'page.compound_order', 77n), 0, /claims order 77/],
    [
      'a negative reference count',
      () => set(page(head), 'page._refcount.counter', 0xffff_fff0n),
      0,
      /counts -16 references/,
    ],
  ])('%s', (_, damage, tail, message) => {
    const reader = new PageReader(damagedBy(damage()));
    expect(() => reader.block(page(head + tail))).toThrow(
      expect.objectContaining({ code: 'damaged', message: expect.stringMatching(message) }),
    );
  });

  test('refuses an address between two struct pages', () => {
    const reader = new PageReader(kernel);
    expect(() => reader.block(page(head) + 8n)).toThrow(/is not the address of a struct page/);
  });
});

test('reports a page without references as free', () => {
  const reader = new PageReader(damagedBy(set(page(head), 'page._refcount.counter', 0n)));
  expect(reader.block(page(head))).toMatchObject({ kind: 'page', free: true });
});

test('caches page data until it is cleared', () => {
  let reads = 0;
  const noting = damagedKernel(kernel, { patches: [], denials: [] }, () => reads++);
  const reader = new PageReader(noting);
  reader.block(page(head));
  const first = reads;
  reader.block(page(head));
  expect(reads).toBe(first);
  reader.forget();
  reader.block(page(head));
  expect(reads).toBeGreaterThan(first);
});
