import { describe, expect, test } from 'vitest';
import { Tally } from '../../../src/account/tally.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { PageReader } from '../../../src/walk/pages/pages.js';
import { SkbLists } from '../../../src/walk/queues/skb-lists.js';
import { SkbReader } from '../../../src/walk/skbs/skb.js';
import { Warnings } from '../../../src/walk/warnings.js';
import type { Damage } from '../../support/damaged-kernel.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

const { kernel, truth, addressOf, read, set, damagedBy } = fixtureKernel('6.1');

const starving = truth.sockets.find(({ queues }) => (queues.receive?.frags ?? 0) > 100)!;
const queue = addressOf(BigInt(starving.sock), 'sock.sk_receive_queue');

/** The memory that all skbs of the queue pin, and the warnings. */
function figuresOf(from: Kernel) {
  const warnings = new Warnings();
  const tally = new Tally(from.facts.pageSize, warnings);
  const reader = new SkbReader(from, new PageReader(from));
  for (const skb of new SkbLists(from).ring(queue)) tally.skb(reader.read(skb, tally));
  const messages = warnings.list().map(({ message }) => message);
  return { figures: tally.figures(), messages };
}

test('reports the memory that drgn finds in the skbs of a queue', () => {
  const { figures, messages } = figuresOf(kernel);
  expect(messages).toEqual([]);
  expect(figures).toMatchObject({ ...starving.queues.receive, orders: expect.anything() });
});

describe('counts what is readable of a damaged skb, and reports the damage:', () => {
  const skb = read(queue);
  const info = read(skb, 'sk_buff.head') + read(skb, 'sk_buff.end');
  test.each<[string, Damage, RegExp]>([
    [
      'more frags than fit',
      set(info, 'skb_shared_info.nr_frags', 200n),
      /what it holds: nr_frags is 200, but the array has 17/,
    ],
    [
      'a head without references',
      set(info, 'skb_shared_info.dataref.counter', 0n),
      /its clones: its head counts 0 references/,
    ],
    ['a users count of zero', set(skb, 'sk_buff.users.refs.counter', 0n), /its slab slot: it has 0 users/],
    ['a head outside of memory', set(skb, 'sk_buff.head', 0x1234_5678_9000n), /0x[0-9a-f]+ is not mapped/],
    ['more paged bytes than its frags have', set(skb, 'sk_buff.data_len', 0x00ff_fff0n), /its length: /],
  ])('%s', (_, damage, message) => {
    const whole = starving.queues.receive!;
    const { figures, messages } = figuresOf(damagedBy(damage));
    expect(figures.complete).toBe(false);
    expect(messages.join('\n')).toMatch(message);
    // All others are undamaged.
    expect(figures.skbs).toBe(whole.skbs);
    expect(figures.pages).toBeGreaterThan(whole.pages / 2);
    expect(figures.pages).toBeLessThanOrEqual(whole.pages);
  });
});

test('ends at a frag_list that loops, and reports it', () => {
  const skb = read(queue);
  const info = read(skb, 'sk_buff.head') + read(skb, 'sk_buff.end');
  // The skb is in its own list.
  const { figures, messages } = figuresOf(damagedBy(set(info, 'skb_shared_info.frag_list', skb)));
  expect(figures.complete).toBe(false);
  expect(messages.join('\n')).toMatch(/frag_lists are nested deeper than 8|does not terminate/);
});

test('reports an inconsistent back pointer in a ring, after the consistent skbs', () => {
  const [first, second] = [...new SkbLists(kernel).ring(queue)];
  const damaged = damagedBy(set(second!, 'sk_buff.prev', second!));
  const ring = new SkbLists(damaged).ring(queue);
  expect(ring.next().value).toBe(first);
  expect(() => ring.next()).toThrow(/points back to/);
});
