import type { PagePool } from '../walk/pages/pool-room.js';

/** Pages of drivers' page pools, and what becomes of them when they are dropped. Bytes. */
export interface Pooled {
  /** All of them. */
  readonly bytes: number;
  /** Of those that nobody else has a part of: what their pools have surely no room for. */
  readonly freed: number;
  /** What a pool takes back of those that nobody else has a part of. */
  readonly kept: number;
  /** What the pools take back in any case, of however many are dropped. */
  readonly keptOfAll: number;
  /** What the pools take back at most; null: the room of one is not known. */
  readonly keptAtMost: number | null;
}

/** Pages of one pool, which all have the same order. */
interface Share {
  readonly pool: PagePool;
  pages: number;
  bytes: number;
  /** Of those, what nobody else has a part of. */
  sole: number;
  smallest: number;
}

/** Adds pages up by the pool that lent them. */
export class PooledSum {
  readonly #shares = new Map<PagePool, Share>();

  /** @param sole all its users are among those found */
  add(pool: PagePool, bytes: number, sole: boolean): void {
    let share = this.#shares.get(pool);
    if (!share) {
      share = { pool, pages: 0, bytes: 0, sole: 0, smallest: bytes };
      this.#shares.set(pool, share);
    }
    share.pages++;
    share.bytes += bytes;
    share.smallest = Math.min(share.smallest, bytes);
    if (sole) share.sole++;
  }

  sum(): Pooled {
    const sum = { bytes: 0, freed: 0, kept: 0, keptOfAll: 0, keptAtMost: 0 };
    let known = true;
    for (const { pool, pages, bytes, sole, smallest } of this.#shares.values()) {
      const { ringRoom, room } = pool;
      sum.bytes += bytes;
      sum.freed += Math.max(0, sole - room) * smallest;
      sum.kept += Math.min(sole, ringRoom) * smallest;
      sum.keptOfAll += Math.min(pages, ringRoom) * smallest;
      // All but what has no room, if no page is smaller than the smallest.
      sum.keptAtMost += bytes - Math.max(0, pages - room) * smallest;
      if (room === Number.POSITIVE_INFINITY) known = false;
    }
    return { ...sum, keptAtMost: known ? sum.keptAtMost : null };
  }
}
