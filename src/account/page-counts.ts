import { FrameIndex, grown } from '../walk/frame-index.js';

/** In place of an order: no reference told it. */
const UNKNOWN = -1;

/** In place of a count of references: infinitely many. */
const INFINITE = 0xffff_ffff;

/**
 * Pages by the frame that each begins with, and how many references to each were found: in columns of
 * typed arrays, 30 bytes a page, since there may be millions.
 */
export class PageCounts {
  readonly #index: FrameIndex;
  #orders: Int8Array;
  /** References that the kernel counts. */
  #references: Uint32Array;
  #found: Uint32Array;

  constructor(like?: PageCounts) {
    this.#index = like ? like.#index.copy() : new FrameIndex();
    this.#orders = like ? like.#orders.slice() : new Int8Array(0);
    this.#references = like ? like.#references.slice() : new Uint32Array(0);
    this.#found = like ? like.#found.slice() : new Uint32Array(0);
  }

  get size(): number {
    return this.#index.size;
  }

  /** The row of the page that begins with a frame, or -1. */
  find(frame: number): number {
    return this.#index.find(frame);
  }

  /** Counts so many references found; an order that one leaves unknown may be known from another. */
  count(frame: number, order: number | undefined, references: number, found: number): void {
    const known = this.#index.size;
    const row = this.#index.add(frame);
    if (row === known) {
      if (row >= this.#orders.length) this.#grow();
      this.#orders[row] = order ?? UNKNOWN;
      this.#references[row] = Math.min(references, INFINITE);
    } else if (order !== undefined && this.#orders[row] === UNKNOWN) {
      this.#orders[row] = order;
    }
    this.#found[row] = this.#found[row]! + found;
  }

  add(other: PageCounts): void {
    for (let row = 0; row < other.size; row++) {
      const references = other.references(row);
      this.count(other.frame(row), other.order(row), references, other.#found[row]!);
    }
  }

  /** The frame that a row's page begins with. */
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
    return references === INFINITE ? Number.POSITIVE_INFINITY : references;
  }

  /** References found. */
  found(row: number): number {
    return this.#found[row]!;
  }

  #grow(): void {
    const rows = grown(this.#orders.length);
    const [orders, references, found] = [this.#orders, this.#references, this.#found];
    this.#orders = new Int8Array(rows);
    this.#orders.set(orders);
    this.#references = new Uint32Array(rows);
    this.#references.set(references);
    this.#found = new Uint32Array(rows);
    this.#found.set(found);
  }
}
