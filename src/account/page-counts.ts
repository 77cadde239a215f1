import { FrameIndex, grown } from '../walk/pages/frame-index.js';
import type { PagePool } from '../walk/pages/pool-room.js';
import { longer, MOST_COUNTED } from './columns.js';

/** In place of an order: no reference told it. */
const UNKNOWN = -1;

/**
 * Pages by the frame that each begins with, and how many references to each were found: in columns of
 * typed arrays, 32 bytes a page, since there may be millions.
 */
export class PageCounts {
  #index = new FrameIndex();
  #orders = new Int8Array(0);
  /** References that the kernel counts. */
  #references = new Uint32Array(0);
  #found = new Uint32Array(0);
  /** Numbers of page pools. */
  #lenders = new Uint16Array(0);
  /** By number; 0 is no pool's. */
  readonly #pools: (PagePool | undefined)[] = [undefined];

  get size(): number {
    return this.#index.size;
  }

  /** The row of the page that begins with a frame, or -1. */
  find(frame: number): number {
    return this.#index.find(frame);
  }

  /**
   * Counts so many references found; an order that one leaves unknown may be known from another. Gives
   * the page's row.
   */
  count(
    frame: number,
    order: number | undefined,
    references: number,
    found: number,
    pool?: PagePool,
  ): number {
    const known = this.#index.size;
    const row = this.#index.add(frame);
    if (row === known) {
      if (row >= this.#orders.length) this.#grow();
      this.#orders[row] = order ?? UNKNOWN;
      this.#references[row] = Math.min(references, MOST_COUNTED);
      if (pool) this.#lenders[row] = this.#numberOf(pool);
    } else if (order !== undefined && this.#orders[row] === UNKNOWN) {
      this.#orders[row] = order;
    }
    this.#found[row] = this.#found[row]! + found;
    return row;
  }

  /** Counts another table's too, and gives the row of each of its rows. */
  add(other: PageCounts): Uint32Array {
    const rows = new Uint32Array(other.size);
    for (let row = 0; row < rows.length; row++) {
      const frame = other.frame(row);
      const references = other.references(row);
      const found = other.#found[row]!;
      rows[row] = this.count(frame, other.order(row), references, found, other.pool(row));
    }
    return rows;
  }

  /** Number of the page frame that it begins with. */
  frame(row: number): number {
    return this.#index.frame(row);
  }

  /** log2 of its base pages, or undefined. */
  order(row: number): number | undefined {
    const order = this.#orders[row]!;
    return order === UNKNOWN ? undefined : order;
  }

  /** References that the kernel counts. */
  references(row: number): number {
    const references = this.#references[row]!;
    return references === MOST_COUNTED ? Number.POSITIVE_INFINITY : references;
  }

  /** The page pool that takes it back. */
  pool(row: number): PagePool | undefined {
    return this.#pools[this.#lenders[row]!];
  }

  /** References found. */
  found(row: number): number {
    return this.#found[row]!;
  }

  copy(): PageCounts {
    const copy = new PageCounts();
    copy.#index = this.#index.copy();
    copy.#orders = this.#orders.slice();
    copy.#references = this.#references.slice();
    copy.#found = this.#found.slice();
    copy.#lenders = this.#lenders.slice();
    copy.#pools.push(...this.#pools.slice(1));
    return copy;
  }

  #numberOf(pool: PagePool): number {
    const number = this.#pools.findIndex((known) => known?.address === pool.address);
    return number > 0 ? number : this.#pools.push(pool) - 1;
  }

  #grow(): void {
    const orders = new Int8Array(grown(this.#orders.length));
    orders.set(this.#orders);
    this.#orders = orders;
    const lenders = new Uint16Array(grown(this.#lenders.length));
    lenders.set(this.#lenders);
    this.#lenders = lenders;
    this.#references = longer(this.#references);
    this.#found = longer(this.#found);
  }
}
