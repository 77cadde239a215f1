import { describe, expect, it } from 'vitest';
import { ObjectFollower } from '../../../src/leaks/follow/object-follower.js';

const ALL = { oneIn: 1, mask: 0n, residue: 0n };
const siteOf = (stack: number) => `s${stack}`;
/** The lower 52 bits of 0xffff888000000000. */
const BASE = 0xf_8880_0000_0000;
const UPPER = 0xfff0_0000_0000_0000n;

describe('objects that are followed', () => {
  it('are held until they are freed, and reported with their full address', () => {
    const follower = new ObjectFollower(ALL, { maxBlocks: 10 });
    follower.allocated(BASE, 96, 5e6, 7, 1);
    follower.allocated(BASE + 96, 96, 6e6, 8, 1);
    follower.freed(BASE);
    expect(follower.reading(3, siteOf)).toEqual({
      at: 3,
      held: new Map([['s1', { bytes: 96, blocks: 1, lowBytes: 96, highBytes: 96, sampled: null }]]),
    });
    const order = { max: 5, siteOf, began: 1e6, upper: UPPER, commandOf: () => 'nginx' };
    expect(follower.survivors(order)).toEqual({
      survivors: [
        { site: 's1', place: 0xffff_8880_0000_0060n, bytes: 96, order: null, since: 5, tid: 8, command: 'nginx' },
      ],
      leftOut: 0,
    });
  });

  it('report missed frees, unknown frees, missing stacks and dropped objects', () => {
    const follower = new ObjectFollower(ALL, { maxBlocks: 2 });
    follower.freed(BASE);
    follower.allocated(BASE, 8, 1, 1, -1);
    follower.allocated(BASE, 16, 1, 1, 2);
    follower.allocated(BASE + 64, 8, 1, 1, 2);
    follower.allocated(BASE + 128, 8, 1, 1, 2);
    expect(follower.losses).toEqual({ overrun: 0, unknownFrees: 1, missedFrees: 1, withoutStack: 1, dropped: 1 });
    expect(follower.reading(0, siteOf).held.get('s2')?.bytes).toBe(24);
  });

  it('are sampled by page, and scaled', () => {
    const sample = { oneIn: 4, mask: 0x3000n, residue: 0x1000n };
    const follower = new ObjectFollower(sample, { maxBlocks: 1000 });
    for (let at = 0; at < 64; at++) follower.allocated(BASE + at * 1024, 1024, 1, 1, 1);
    const held = follower.reading(0, siteOf).held.get('s1');
    expect(held).toMatchObject({ bytes: 65_536, blocks: 64, sampled: 16_384 });
    expect(held?.lowBytes).toBeLessThan(65_536);
    expect(held?.highBytes).toBeGreaterThan(65_536);
    follower.narrow({ oneIn: 8, mask: 0x7000n, residue: 0x5000n });
    expect(follower.kept).toBe(8);
    expect(follower.reading(0, siteOf).held.get('s1')?.sampled).toBe(8192);
  });

  it('select survivors evenly: a busy site leaves room for a quiet one', () => {
    const follower = new ObjectFollower(ALL, { maxBlocks: 1000 });
    for (let at = 0; at < 500; at++) follower.allocated(BASE + at * 8, 8, 1, 1, 1);
    for (let at = 500; at < 503; at++) follower.allocated(BASE + at * 8, 8, 1, 1, 2);
    const order = { max: 13, siteOf, began: 0, upper: 0n, commandOf: () => null };
    const { survivors, leftOut } = follower.survivors(order);
    expect(leftOut).toBe(490);
    expect(survivors.filter(({ site }) => site === 's2')).toHaveLength(3);
    const places = survivors.filter(({ site }) => site === 's1').map(({ place }) => Number(place));
    expect(places).toHaveLength(10);
    // Old and new objects.
    expect(Math.max(...places) - Math.min(...places)).toBeGreaterThan(8 * 400);
    expect(follower.survivors({ ...order, max: 0 }).survivors).toEqual([]);
  });

  it('have a correct table after any number of frees', () => {
    const follower = new ObjectFollower(ALL, { maxBlocks: 100_000 });
    const truth = new Map<number, number>();
    let random = 12345;
    for (let step = 0; step < 60_000; step++) {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
      const place = BASE + (random >>> 18) * 64;
      if (random % 3 === 0) {
        truth.delete(place);
        follower.freed(place);
      } else {
        truth.set(place, random % 1000);
        follower.allocated(place, random % 1000, 1, 1, 1);
      }
    }
    const bytes = [...truth.values()].reduce((sum, each) => sum + each, 0);
    expect(follower.kept).toBe(truth.size);
    expect(follower.reading(0, siteOf).held.get('s1')).toMatchObject({ bytes, blocks: truth.size });
  });
});
