import { afterAll, expect, test } from 'vitest';
import { accountFd } from '../../../src/account/skb.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { type Damage, memoryOf } from '../../support/damaged-kernel.js';
import { drgnJson } from '../../support/drgn.js';
import { labDump, oracleSocket, role } from '../../support/lab.js';

interface Pool {
  readonly pool: string;
  readonly destroyed: string;
  readonly cacheCount: string;
  readonly ringSize: string;
  readonly queue: string;
  readonly slots: number;
  readonly producer: number;
  readonly consumerHead: string;
  readonly consumerTail: string;
  readonly ringRoom: number;
  readonly cacheRoom: number;
  readonly cache: number;
  readonly pages: number;
  readonly sole: number;
}

// virtio_net of 7.2 allocates its pages from a page pool, one by one.
const { elf, truth, oracle } = labDump('newest');
const kernel = openNative({ files: [elf] });
afterAll(() => kernel.close());
const { set, lose, damagedBy } = memoryOf(kernel);
const { pid, fd } = role(truth, 'starving-large');
const { sock } = oracleSocket(oracle, pid, fd);
const pool = drgnJson<Pool>(elf, 'newest', new URL('page_pools.py', import.meta.url), sock);
const PAGE = 4096;
/** Slots that are left free. */
const ROOM = { ring: 10, cache: 5 } as const;

function ask(...damages: readonly Damage[]) {
  const { freedIfKilled, total, exclusiveBytes, sharedBytes } = accountFd(damagedBy(...damages), pid, fd);
  if (!freedIfKilled?.between) throw new Error('what a kill gives back is not known');
  const { pinnedBytes } = total;
  expect(exclusiveBytes + sharedBytes).toBe(pinnedBytes);
  expect(total.complete).toBe(true);
  const { low, high, keptByPools, between } = freedIfKilled;
  expect((high ?? Number.NaN) - low).toBe(Object.values(between).reduce((sum, one) => sum + one));
  return { low, high, keptByPools, exclusiveBytes, pinnedBytes };
}

/**
 * Fills this many slots of the ring, up to the last before the producer index, and of the cache.
 */
const filledSlots = (inRing: number, inCache: number): readonly Damage[] => [
  ...Array.from({ length: inRing }, (_, index) =>
    set(BigInt(pool.queue) + BigInt(8 * ((pool.producer + pool.slots - 1 - index) % pool.slots)), 8, 1n),
  ),
  set(BigInt(pool.cacheCount), 4, inCache),
];

test('the pool has room for all of a socket’s pages, as drgn finds it: none is freed', () => {
  // How many there are depends on how the sender's data was cut into packets: more than the tests below leave room for.
  expect(pool.pages).toBeGreaterThan(ROOM.ring + ROOM.cache);
  expect(pool.sole).toBe(pool.pages);
  expect(pool.ringRoom).toBeGreaterThanOrEqual(pool.pages);
  const { low, high, keptByPools, exclusiveBytes, pinnedBytes } = ask();
  const kept = pool.pages * PAGE;
  expect(keptByPools).toEqual({ low: kept, high: kept });
  expect([low, high, exclusiveBytes]).toEqual([
    pinnedBytes - kept,
    pinnedBytes - kept,
    // The exclusive figure omits what its ring or its cache may keep.
    pinnedBytes - kept,
  ]);
});

test('frees exactly the pages that ring and cache have no room for', () => {
  const [ringRoom, cacheRoom] = [ROOM.ring, ROOM.cache];
  const { low, high, keptByPools, exclusiveBytes, pinnedBytes } = ask(
    ...filledSlots(pool.slots - ringRoom, pool.cache - cacheRoom),
  );
  expect(keptByPools).toEqual({ low: ringRoom * PAGE, high: (ringRoom + cacheRoom) * PAGE });
  expect(low).toBe(pinnedBytes - (ringRoom + cacheRoom) * PAGE);
  expect(high).toBe(pinnedBytes - ringRoom * PAGE);
  expect(exclusiveBytes).toBe(low);
});

test('a full pool keeps no page, and neither does one that is being destroyed', () => {
  // Nothing was read since the producer filled the last slot.
  const ends = [pool.consumerHead, pool.consumerTail].map((at) => set(BigInt(at), 4, BigInt(pool.producer)));
  for (const damages of [
    [...filledSlots(pool.slots, pool.cache), ...ends],
    [set(BigInt(pool.destroyed), 8, 1n), set(BigInt(pool.pool), 'page_pool.defer_start', 1n)],
  ]) {
    const { low, high, keptByPools, exclusiveBytes, pinnedBytes } = ask(...damages);
    expect([low, high, exclusiveBytes]).toEqual([pinnedBytes, pinnedBytes, pinnedBytes]);
    expect(keptByPools).toEqual({ low: 0, high: 0 });
  }
});

test('an unreadable pool leaves the widest bounds, and an inconsistent one none', () => {
  const before = ask();
  const claims = [pool.ringSize, pool.cacheCount].map((address) => set(BigInt(address), 4, 0x7fff_ffffn));
  const { low, high, keptByPools, pinnedBytes } = ask(lose(BigInt(pool.pool), 2048));
  expect([low, high]).toEqual([before.low, pinnedBytes]);
  expect(keptByPools).toEqual({ low: 0, high: null });
  for (const damage of claims) {
    const { warnings, total, freedIfKilled } = accountFd(damagedBy(damage), pid, fd);
    expect([warnings.map(({ code }) => code), total.complete]).toEqual([['corrupt'], false]);
    expect(freedIfKilled).toMatchObject({ low: before.low, high: null, keptByPools: { low: 0, high: null } });
  }
});
