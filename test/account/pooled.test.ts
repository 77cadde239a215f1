import { describe, expect, test } from 'vitest';
import { KillImpact } from '../../src/account/kill-impact.js';
import { Tally } from '../../src/account/tally.js';
import { type PagePool, PagePools, UNKNOWN_POOL } from '../../src/walk/pages/page-pool.js';
import type { CountedSocket } from '../../src/walk/sockets/found-sockets.js';
import { Warnings } from '../../src/walk/warnings.js';
import { FixtureBase, OverlaidKernel } from '../support/overlaid-kernel.js';

const PAGE = 4096;
const newTally = () => new Tally(PAGE, new Warnings());
const POOL: PagePool = { address: 7n, ringRoom: 3, room: 5 };

/** This many pages of a pool, starting at a frame, each with one user, and pages of no pool next to them. */
function held(first: number, lent: number, own = 0, pool = POOL, users = 1): Tally {
  const tally = newTally();
  for (let frame = first; frame < first + lent; frame++) tally.page(frame, 0, users, undefined, pool);
  for (let frame = 0; frame < own; frame++) tally.page(1000 + first + frame, 0, 1, undefined);
  return tally;
}

const socketOf = (sock: bigint, pid: number): CountedSocket => ({
  sock,
  file: sock,
  inode: 1,
  fileReferences: 1,
  foundBy: ['fd'] as const,
  mappedBy: [],
  carriedBy: [],
  registeredWith: [],
  acceptedFrom: undefined,
  subflowOf: undefined,
  holders: [{ task: { pid }, fd: 3 }] as never,
});

/** Freed memory of a kill, in pages. */
function kill(...tallies: readonly Tally[]) {
  const impact = new KillImpact(newTally);
  tallies.forEach((all, index) => {
    impact.add(socketOf(BigInt(index + 1), 7), { all, atClose: all });
  });
  const { low, high, toPools, keptByPools, between } = impact.freed(7);
  const parts = Object.values(between ?? {}).reduce((sum, part) => sum + part, 0);
  expect(parts).toBe((high ?? Number.NaN) - low);
  const pages = (bytes: number | null) => (bytes === null ? null : bytes / PAGE);
  return {
    freed: [pages(low), pages(high)],
    kept: [pages(keptByPools.low), pages(keptByPools.high)],
    toPools: pages(toPools),
  };
}

test.each([
  ['pages in a cache', { 'alloc.count': 1_000 }, /has 1000 pages in a cache of 128$/],
  [
    'attempts to destroy it',
    { destroy_cnt: 1 },
    /^destroy_cnt and defer_start of the page pool 0x\w+ are inconsistent$/,
  ],
  ['memory provider', { mp_priv: 8n }, /^mp_priv and mp_ops of the page pool 0x\w+ are inconsistent$/],
  ['a time of destruction', { defer_start: 1n }, /^destroy_cnt and defer_start/],
])('a page pool with wrong %s is reported', (_, members, fault) => {
  const kernel = new OverlaidKernel(new FixtureBase('6.12'));
  const pools = new PagePools(kernel.kernel());
  const pool = pools.at(pools.numberOf(kernel.make('page_pool', members)));
  const warnings = new Warnings();
  const tally = new Tally(PAGE, warnings);
  tally.page(1, 0, 1, undefined, pool);
  tally.checkReferences();
  expect(warnings.list()).toMatchObject([{ code: 'corrupt', message: expect.stringMatching(fault) }]);
});

describe('a kill frees of page pool pages', () => {
  test('none that fit into the ring', () => {
    expect(kill(held(1, 3, 2))).toEqual({ freed: [2, 2], kept: [3, 3], toPools: 0 });
  });
  test('those that fit into neither ring nor cache; at most those in the cache, too', () => {
    expect(kill(held(1, 10, 2))).toEqual({ freed: [7, 9], kept: [3, 5], toPools: 2 });
  });
  test('the same number for one or two sockets, since the room exists once', () => {
    expect(kill(held(1, 4), held(101, 6))).toEqual({ freed: [5, 7], kept: [3, 5], toPools: 2 });
  });
  test('at most those that others share', () => {
    expect(kill(held(1, 10, 0, POOL, 2))).toEqual({ freed: [0, 7], kept: [0, 5], toPools: 2 });
  });
  test('all of a pool that is being destroyed', () => {
    const gone = { address: 8n, ringRoom: 0, room: 0 };
    expect(kill(held(1, 10, 0, gone))).toEqual({ freed: [10, 10], kept: [0, 0], toPools: 0 });
  });
  test('none to all of an unknown pool', () => {
    const { freed, kept, toPools } = kill(held(1, 10, 0, UNKNOWN_POOL));
    expect([freed, kept, toPools]).toEqual([[0, 10], [0, null], 10]);
  });
  test('those that exceed the room of each of several pools', () => {
    const other = { address: 9n, ringRoom: 1, room: 1 };
    expect(kill(held(1, 10), held(101, 4, 0, other))).toEqual({ freed: [8, 10], kept: [4, 6], toPools: 2 });
  });
});

test('exclusive memory exceeds the room of a pool, also after tallies are added', () => {
  const one = held(1, 4, 2);
  expect(one.ownership()).toEqual({ exclusiveBytes: 2 * PAGE, sharedBytes: 4 * PAGE });
  one.add(held(101, 6));
  expect(one.ownership()).toEqual({ exclusiveBytes: 7 * PAGE, sharedBytes: 5 * PAGE });
  expect(one.figures().pinnedBytes).toBe(12 * PAGE);
});
