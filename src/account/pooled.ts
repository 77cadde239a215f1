import { hex } from '../base/util.js';
import type { PagePool } from '../walk/pages/page-pool.js';
import type { CloneCounts } from './clone-counts.js';
import type { PageCounts, SlotCounts } from './counts.js';

/** Pages of drivers' page pools, and the parts that are freed or kept when they are dropped. Bytes. */
export interface Pooled {
  /** All pages. */
  readonly bytes: number;
  /** Pages without another holder for which their pools certainly have no room. */
  readonly freed: number;
  /** Pages without another holder that their pools take back. */
  readonly kept: number;
  /** Pages that the pools keep in any case, however many are dropped. */
  readonly keptOfAll: number;
  /** Maximum that the pools keep; null: the room of one is unknown. */
  readonly keptAtMost: number | null;
}

/** Pages of one pool, all of the same order. */
interface Share {
  readonly pool: PagePool;
  pages: number;
  bytes: number;
  /** Pages without another holder. */
  sole: number;
  smallest: number;
}

/** Sums pages by the pool that lent them. */
export class PooledSum {
  readonly #shares = new Map<PagePool, Share>();

  /** @param sole whether all its users were found */
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
      // All pages except those without room, each of which is at least as large as the smallest.
      sum.keptAtMost += bytes - Math.max(0, pages - room) * smallest;
      if (room === Number.POSITIVE_INFINITY) known = false;
    }
    return { ...sum, keptAtMost: known ? sum.keptAtMost : null };
  }
}

/**
 * Text of excess references: more were found than the kernel counts. Every holder of a page, slot or shared
 * info counts, so there may be more users than were found, never fewer. Pages of a page pool have a user
 * count; if it is unknown there is no number (PageBlock.references).
 */
export function* overcounted(pages: PageCounts, slots: SlotCounts, clones: CloneCounts): Generator<string> {
  const pagesOfClones = new Uint32Array(pages.size);
  const slotsOfClones = new Uint32Array(slots.size);
  clones.countAll(pagesOfClones, slotsOfClones);
  for (let row = 0; row < pages.size; row++) {
    const [found, counted] = [pages.found(row) + pagesOfClones[row]!, pages.references(row)];
    // Large kmallocs have an owner, but no references.
    if (found <= Math.max(counted, 1)) continue;
    yield `page frame ${pages.frame(row)} counts ${counted} references, but ${found} were found`;
  }
  for (let row = 0; row < slots.size; row++) {
    const [found, counted] = [slots.found(row) + slotsOfClones[row]!, slots.references(row)];
    if (found <= counted) continue;
    yield `the slot at ${hex(slots.address(row))} counts ${counted} references, but ${found} were found`;
  }
  for (let row = 0; row < clones.size; row++) {
    const [found, counted] = [clones.found(row), clones.clones(row)];
    if (found <= counted) continue;
    yield `the shared info at ${hex(clones.address(row))} counts ${counted} clones, but ${found} were found`;
  }
}

/**
 * Allocations within another, in words: the order of one of them is wrong. An allocation begins at a multiple
 * of its size, so a page can belong to few of them.
 */
export function* overlapping(pages: PageCounts): Generator<string> {
  const orders = new Set<number>();
  for (let row = 0; row < pages.size; row++) orders.add(pages.order(row) ?? 0);
  orders.delete(0);
  for (let row = 0; row < pages.size; row++) {
    const frame = pages.frame(row);
    for (const order of orders) {
      if (order <= (pages.order(row) ?? 0)) continue;
      const first = frame - (frame % 2 ** order);
      const around = pages.find(first);
      if (around < 0 || around === row || (pages.order(around) ?? 0) < order) continue;
      yield `page frame ${frame} is held, but is part of the ${2 ** order}-page block at ${first}, which is held too`;
    }
  }
}
