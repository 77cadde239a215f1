import { AddressIndex } from '../walk/address-index.js';
import type { SlabCache } from '../walk/pages/slab-caches.js';
import { longer, MOST_COUNTED } from './columns.js';

/**
 * Slots of slabs by their addresses, and how many references to each were found: in columns of typed
 * arrays, 28 bytes a slot, since there may be millions.
 */
export class SlotCounts {
  #index = new AddressIndex();
  #caches: SlabCache[] = [];
  #cacheNumbers = new Map<SlabCache, number>();
  #cacheOf = new Uint32Array(0);
  /** How many references must be dropped before the slot is free. */
  #references = new Uint32Array(0);
  #found = new Uint32Array(0);

  get size(): number {
    return this.#index.size;
  }

  /** Counts so many references found; gives the slot's row. @throws as AddressIndex.add */
  count(address: bigint, cache: SlabCache, references: number, found: number): number {
    const known = this.#index.size;
    return this.#count(known, this.#index.add(address), cache, references, found);
  }

  /** Counts another table's too, and gives the row of each of its rows. @throws as {@link count} */
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

  /** The row of a slot, or -1. */
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

  /** References found. */
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
      this.#references[row] = Math.min(references, MOST_COUNTED);
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
