import { describe, expect, test } from 'vitest';
import { Tally } from '../../src/account/tally.js';
import { Warnings } from '../../src/walk/warnings.js';

const PAGE = 4096;
const SLAB = { address: 1n, slotSize: 512, pad: 0 };
const tally = (warnings = new Warnings()) => new Tally(PAGE, warnings);

describe('a tally', () => {
  test('counts a page once, whatever number of frags it contains', () => {
    const one = tally();
    for (let frag = 0; frag < 17; frag++) one.page(64, 3, 17, undefined);
    expect(one.figures()).toMatchObject({ pages: 1, pageBytes: 8 * PAGE, orders: { 3: 1 } });
    expect(one.ownership()).toEqual({ exclusiveBytes: 8 * PAGE, sharedBytes: 0 });
  });

  test('counts a page as shared while another reference exists', () => {
    const one = tally();
    one.page(64, 0, 2, undefined);
    expect(one.ownership()).toEqual({ exclusiveBytes: 0, sharedBytes: PAGE });
    const other = tally();
    other.page(64, 0, 2, undefined);
    one.add(other);
    expect(one.figures()).toMatchObject({ pages: 1, pinnedBytes: PAGE });
    expect(one.ownership()).toEqual({ exclusiveBytes: PAGE, sharedBytes: 0 });
  });

  test('computes the bytes gained by adding another tally, with orders that only that knows', () => {
    const [one, other] = [tally(), tally()];
    one.page(64, undefined, 1, undefined);
    one.soleSlot(SLAB, 4096n);
    other.page(64, 2, 1, undefined);
    other.page(128, undefined, 1, undefined);
    other.soleSlot(SLAB, 8192n);
    expect(one.missingBytes(other)).toBe(3 * PAGE + PAGE + SLAB.slotSize);
    one.add(other);
    expect(one.figures().pinnedBytes).toBe(5 * PAGE + 2 * SLAB.slotSize);
  });

  test.each<[string, (to: Tally) => void, (to: Tally) => void, string]>([
    [
      'a page',
      (to) => to.page(64, 0, 2, undefined),
      (to) => {
        to.page(64, 0, 2, undefined);
        to.clone(1000n, 5);
        // A shared info holds its page, wherever its other clones are.
        to.page(64, 0, 2, 1000n);
      },
      'page frame 64 counts 2 references, but 3 were found',
    ],
    [
      'a slot',
      (to) => to.slot(4096n, SLAB, 1, undefined),
      (to) => to.slot(4096n, SLAB, 1, undefined),
      'the slot at 0x1000 counts 1 references, but 2 were found',
    ],
    [
      'a shared info',
      (to) => to.clone(2n ** 63n + 64n, 1),
      (to) => to.clone(2n ** 63n + 64n, 1),
      'the shared info at 0x8000000000000040 counts 1 clones, but 2 were found',
    ],
  ])('reports %s with more references than its count', (_, first, second, message) => {
    const [warnings, sum] = [new Warnings(), new Warnings()];
    const [one, other, both] = [tally(warnings), tally(warnings), tally(sum)];
    first(one);
    second(other);
    for (const part of [one, other]) both.add(part);
    one.checkReferences();
    expect([one.figures().complete, warnings.list()]).toEqual([true, []]);
    both.checkReferences();
    expect(both.figures().complete).toBe(false);
    expect(sum.list()).toEqual([{ code: 'corrupt', message }]);
  });

  test("accepts pages with a pool's own count, and kmallocs without a count", () => {
    const [warnings, sum] = [new Warnings(), new Warnings()];
    const one = tally(warnings);
    for (let frag = 0; frag < 9; frag++) one.page(64, 3, Number.POSITIVE_INFINITY, undefined);
    one.page(128, 2, 0, undefined);
    const both = tally(sum);
    both.add(one);
    both.checkReferences();
    expect([both.figures().complete, sum.list()]).toEqual([true, []]);
  });

  test('holds memory shared by clones only with all clones', () => {
    const sender = tally();
    expect(sender.clone(1000n, 2)).toBe(true);
    sender.page(64, 0, 1, 1000n);
    sender.slot(4096n, SLAB, 2, undefined);
    expect(sender.ownership()).toEqual({ exclusiveBytes: 0, sharedBytes: PAGE + 512 });
    const receiver = tally();
    expect(receiver.clone(1000n, 2)).toBe(true);
    receiver.page(64, 0, 1, 1000n);
    receiver.slot(4096n, SLAB, 2, undefined);
    sender.add(receiver);
    expect(sender.figures()).toMatchObject({ pages: 1, pageBytes: PAGE, slabBytes: 512 });
    expect(sender.ownership()).toEqual({ exclusiveBytes: PAGE + 512, sharedBytes: 0 });
    expect(sender.clone(1000n, 2)).toBe(false);
  });

  test('holds skbs in a frag_list of clones only with all clones', () => {
    const one = tally();
    const other = tally();
    for (const each of [one, other]) {
      expect(each.clone(1000n, 2)).toBe(true);
      each.slot(8192n, SLAB, 1, 1000n);
      each.slot(8704n, SLAB, 2, 1000n);
      each.cloneFrags(1000n, 3);
      each.skb({ address: 512n, length: 10, truesize: 1000, frags: 3 });
      expect(each.ownership()).toEqual({ exclusiveBytes: 0, sharedBytes: 1024 });
    }
    one.add(other);
    // The second slot has another reference, which was not found.
    expect(one.ownership()).toEqual({ exclusiveBytes: 512, sharedBytes: 512 });
    expect(one.figures()).toMatchObject({ skbs: 2, frags: 3, slabBytes: 1024 });
    expect(one.slotsByCache()).toEqual(new Map([[SLAB.address, 2]]));
  });

  test('does not count a lent page as its own, whatever references it has', () => {
    const one = tally();
    one.lentPage(64, 1, 1);
    expect(one.figures()).toMatchObject({ pages: 1, pageBytes: 2 * PAGE });
    expect(one.ownership()).toEqual({ exclusiveBytes: 0, sharedBytes: 2 * PAGE });
  });

  test('reports an unknown order, and takes it from a frag that knows it', () => {
    const warnings = new Warnings();
    const one = tally(warnings);
    one.page(64, undefined, 1, undefined);
    expect(one.figures()).toMatchObject({ orders: { unknown: 1 }, pageBytes: PAGE, complete: false });
    one.page(64, 2, 1, undefined);
    expect(one.figures()).toMatchObject({ orders: { 2: 1, unknown: 0 }, pageBytes: 4 * PAGE });
    expect(warnings.list().map(({ code }) => code)).toEqual(['order-unknown']);
  });

  test('inherits incompleteness', () => {
    const one = tally();
    const other = tally();
    other.incomplete('unreadable', 'x');
    one.add(other);
    expect(one.figures().complete).toBe(false);
  });
});
