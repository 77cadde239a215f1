import { AddressIndex, FrameIndex, grown } from '../walk/pages/frame-index.js';
import type { PagePool } from '../walk/pages/page-pool.js';
import type { SlabCache } from '../walk/pages/slab-caches.js';

/** Placeholder for an unknown order. */
const UNKNOWN = -1;

/**
 * Pages by first frame, with the number of references found: typed arrays, 32 bytes a page, since there may
 * be millions.
 */
export class PageCounts {
  #index = new FrameIndex();
  #orders = new Int8Array(0);
  /** Reference count in the kernel. */
  #references = new Uint32Array(0);
  #found = new Uint32Array(0);
  /** Number of each page's page pool. */
  #poolNumbers = new Uint16Array(0);
  /** Page pools by number; 0: no pool. */
  readonly #pools: (PagePool | undefined)[] = [undefined];

  get size(): number {
    return this.#index.size;
  }

  /** Returns the row of the page with this first frame, or -1. */
  find(frame: number): number {
    return this.#index.find(frame);
  }

  /** Adds references found; an order that is unknown may be known from another. Returns the page's row. */
  count(frame: number, order: number | undefined, references: number, found: number, pool?: PagePool): number {
    const known = this.#index.size;
    const row = this.#index.add(frame);
    if (row === known) {
      if (row >= this.#orders.length) this.#grow();
      this.#orders[row] = order ?? UNKNOWN;
      this.#references[row] = Math.min(references, MAX_COUNTED);
      if (pool) this.#poolNumbers[row] = this.#numberOf(pool);
    } else if (order !== undefined && this.#orders[row] === UNKNOWN) {
      this.#orders[row] = order;
    }
    this.#found[row] = this.#found[row]! + found;
    return row;
  }

  /** Adds another table; returns the row here for each of its rows. */
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

  /** Number of the first page frame. */
  frame(row: number): number {
    return this.#index.frame(row);
  }

  /** log2 of the number of base pages, or undefined. */
  order(row: number): number | undefined {
    const order = this.#orders[row]!;
    return order === UNKNOWN ? undefined : order;
  }

  /** Reference count in the kernel. */
  references(row: number): number {
    const references = this.#references[row]!;
    return references === MAX_COUNTED ? Number.POSITIVE_INFINITY : references;
  }

  /** The page pool that the page is returned to. */
  pool(row: number): PagePool | undefined {
    return this.#pools[this.#poolNumbers[row]!];
  }

  /** Number of references found. */
  found(row: number): number {
    return this.#found[row]!;
  }

  copy(): PageCounts {
    const copy = new PageCounts();
    copy.#index = this.#index.copy();
    copy.#orders = this.#orders.slice();
    copy.#references = this.#references.slice();
    copy.#found = this.#found.slice();
    copy.#poolNumbers = this.#poolNumbers.slice();
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
    const lenders = new Uint16Array(grown(this.#poolNumbers.length));
    lenders.set(this.#poolNumbers);
    this.#poolNumbers = lenders;
    this.#references = longer(this.#references);
    this.#found = longer(this.#found);
  }
}

/**
 * Slab slots by address, with the number of references found: typed arrays, 28 bytes a slot, since there may
 * be millions.
 */
export class SlotCounts {
  #index = new AddressIndex();
  #caches: SlabCache[] = [];
  #cacheNumbers = new Map<SlabCache, number>();
  #cacheOf = new Uint32Array(0);
  /** Number of references that must be dropped before the slot is free. */
  #references = new Uint32Array(0);
  #found = new Uint32Array(0);

  get size(): number {
    return this.#index.size;
  }

  /** Adds references found; returns the slot's row. @throws as AddressIndex.add */
  count(address: bigint, cache: SlabCache, references: number, found: number): number {
    const known = this.#index.size;
    return this.#count(known, this.#index.add(address), cache, references, found);
  }

  /** Adds another table; returns the row here for each of its rows. @throws as {@link count} */
  add(other: SlotCounts): Uint32Array {
    const rows = new Uint32Array(other.size);
    for (let row = 0; row < rows.length; row++) {
      const known = this.#index.size;
      const own = this.#index.addFrom(other.#index, row);
      this.#count(known, own, other.cache(row), other.#references[row]!, other.#found[row]!);
      rows[row] = own;
    }
    return rows;
  }

  /** Returns the row of a slot, or -1. */
  find(address: bigint): number {
    return this.#index.find(address);
  }

  cache(row: number): SlabCache {
    return this.#caches[this.#cacheOf[row]!]!;
  }

  /** Address of a slot. */
  address(row: number): bigint {
    return this.#index.address(row);
  }

  references(row: number): number {
    return this.#references[row]!;
  }

  /** Number of references found. */
  found(row: number): number {
    return this.#found[row]!;
  }

  copy(): SlotCounts {
    const copy = new SlotCounts();
    copy.#index = this.#index.copy();
    copy.#caches = [...this.#caches];
    copy.#cacheNumbers = new Map(this.#cacheNumbers);
    copy.#cacheOf = this.#cacheOf.slice();
    copy.#references = this.#references.slice();
    copy.#found = this.#found.slice();
    return copy;
  }

  #count(known: number, row: number, cache: SlabCache, references: number, found: number): number {
    if (row === known) {
      if (row >= this.#found.length) this.#grow();
      this.#cacheOf[row] = this.#numberOf(cache);
      this.#references[row] = Math.min(references, MAX_COUNTED);
    }
    this.#found[row] = this.#found[row]! + found;
    return row;
  }

  #numberOf(cache: SlabCache): number {
    const number = this.#cacheNumbers.get(cache) ?? this.#caches.push(cache) - 1;
    this.#cacheNumbers.set(cache, number);
    return number;
  }

  #grow(): void {
    this.#cacheOf = longer(this.#cacheOf);
    this.#references = longer(this.#references);
    this.#found = longer(this.#found);
  }
}

/** Placeholder for a count that is infinite or too large. */
export const MAX_COUNTED = 0xffff_ffff;

/** The column with room for more rows, as many as {@link grown} returns. */
export function longer(column: Uint32Array): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(grown(column.length));
  more.set(column);
  return more;
}

/** A table with copy-on-write: several owners share it until one of them changes it. */
export class SharedTable<Table extends { copy(): Table }> {
  #table: Table;
  /** Another owner may share the table. */
  #common = true;

  /** @param table is never changed */
  constructor(table: Table) {
    this.#table = table;
  }

  /** The table, for reading only. */
  get table(): Table {
    return this.#table;
  }

  /** Returns the table for writing; copies it first if it is shared. */
  own(): Table {
    if (this.#common) {
      this.#table = this.#table.copy();
      this.#common = false;
    }
    return this.#table;
  }

  /** Replaces this table with a shared reference to another's. */
  take(other: SharedTable<Table>): void {
    this.#table = other.#table;
    this.#common = true;
    other.#common = true;
  }
}
