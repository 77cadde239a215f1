import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Tally } from '../../src/account/tally.js';
import { Warnings } from '../../src/walk/warnings.js';

const PAGE = 4096;
const SLAB = { address: 1n, slotSize: 512, pad: 0 };

/** A reference to a page or a slot, by number. */
interface Held {
  readonly kind: 'page' | 'slot';
  readonly which: number;
}

/** An skb: either with its own memory, or a clone of the shared info with that number. */
type Skb = readonly Held[] | number;

const SOME = 40;
/** Number of references and clones of each, of which some are found and some are elsewhere. */
const references = (which: number) => 1 + (which % 4);
const clones = (info: number) => 2 + (info % 2);
const addressOf = (which: number) => 0xffff_8880_0000_0000n + BigInt(which) * 0x4000_0040n;

const held = fc.array(fc.record({ kind: fc.constantFrom('page', 'slot'), which: fc.nat(SOME) }), { maxLength: 5 });
/** The contents of each shared info, and queues of skbs. */
const machine = fc.record({
  infos: fc.array(held, { minLength: SOME, maxLength: SOME }),
  queues: fc.array(fc.array(fc.oneof(held, fc.nat(SOME - 1)), { maxLength: 80 }), { maxLength: 5 }),
});

function tallyOf(skbs: readonly Skb[], infos: readonly (readonly Held[])[]): Tally {
  const tally = new Tally(PAGE, new Warnings());
  for (const skb of skbs) {
    const via = typeof skb === 'number' ? addressOf(skb) : undefined;
    if (via !== undefined && !tally.clone(via, clones(Number(skb)))) continue;
    for (const { kind, which } of typeof skb === 'number' ? infos[skb]! : skb) {
      if (kind === 'page') tally.page(which, 1, references(which), via);
      else tally.slot(addressOf(which), SLAB, references(which), via);
    }
  }
  return tally;
}

/** The same count with plain maps, over all queues at once. */
function expected(skbs: readonly Skb[], infos: readonly (readonly Held[])[]) {
  const clonesFound = new Map<number, number>();
  for (const skb of skbs) {
    if (typeof skb === 'number') clonesFound.set(skb, (clonesFound.get(skb) ?? 0) + 1);
  }
  const found = new Map<string, { one: Held; times: number }>();
  const count = (one: Held, more: number) => {
    const key = `${one.kind} ${one.which}`;
    found.set(key, { one, times: (found.get(key)?.times ?? 0) + more });
  };
  for (const skb of skbs) if (typeof skb !== 'number') for (const one of skb) count(one, 1);
  for (const [info, times] of clonesFound) {
    for (const one of infos[info]!) count(one, times >= clones(info) ? 1 : 0);
  }
  const bytes = { exclusiveBytes: 0, sharedBytes: 0 };
  for (const { one, times } of found.values()) {
    const whose = times >= references(one.which) ? 'exclusiveBytes' : 'sharedBytes';
    bytes[whose] += one.kind === 'page' ? 2 * PAGE : SLAB.slotSize;
  }
  return bytes;
}

test('tallies added in any order equal a count with plain maps', () => {
  fc.assert(
    fc.property(machine, ({ infos, queues }) => {
      const sum = new Tally(PAGE, new Warnings());
      const each = queues.map((skbs) => tallyOf(skbs, infos));
      for (const tally of each) {
        const [before, more] = [sum.figures().pinnedBytes, sum.missingBytes(tally)];
        sum.add(tally);
        expect(sum.figures().pinnedBytes - before).toBe(more);
      }
      expect(sum.ownership()).toEqual(expected(queues.flat(), infos));
      const { exclusiveBytes, sharedBytes } = sum.ownership();
      expect(sum.figures().pinnedBytes).toBe(exclusiveBytes + sharedBytes);
      // Added tallies are unchanged.
      each.forEach((tally, index) => {
        expect(tally.ownership()).toEqual(expected(queues[index] ?? [], infos));
      });
    }),
    { numRuns: 300 },
  );
});
