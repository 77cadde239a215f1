import type { ByteRange } from '../kernel/native/image/kept-bytes.js';

/** A page of which everything is kept. */
export const WHOLE = 'whole';

/**
 * Which bytes of physical memory an extract keeps. Pages are numbered: physical address ÷ page size.
 */
export class KeptPages {
  readonly pageSize: number;
  /** A bit for each byte of a page, or the word that all are kept. */
  readonly #pages = new Map<number, Uint8Array | typeof WHOLE>();
  /** Pages that could not be read though the memory exists. */
  readonly #missing = new Set<number>();

  constructor(pageSize: number) {
    this.pageSize = pageSize;
  }

  /** Keeps `length` bytes at a physical address. */
  keep(address: number, length: number): void {
    const { pageSize } = this;
    const end = address + length;
    for (let at = address; at < end; ) {
      const page = Math.floor(at / pageSize);
      const from = at - page * pageSize;
      const to = Math.min(pageSize, end - page * pageSize);
      if (to - from === pageSize) this.#pages.set(page, WHOLE);
      else this.#mark(page, from, to);
      at = (page + 1) * pageSize;
    }
  }

  /** Keeps all of a page of which something is kept already. */
  keepWhole(page: number): void {
    this.#pages.set(page, WHOLE);
  }

  /** Keeps nothing of a page. */
  drop(page: number): void {
    this.#pages.delete(page);
  }

  /** Keeps none of `length` bytes, but for those of pages that were read whole for another's sake. */
  forget(address: number, length: number): void {
    const { pageSize } = this;
    const end = address + length;
    for (let page = Math.floor(address / pageSize); page * pageSize < end; page++) {
      const start = page * pageSize;
      const bits = this.#pages.get(page);
      if (start >= address && start + pageSize <= end) this.#pages.delete(page);
      if (bits === undefined || bits === WHOLE) continue;
      const last = Math.min(pageSize, end - start);
      for (let at = Math.max(0, address - start); at < last; at++)
        bits[at >>> 3]! &= ~(1 << (at & 7));
      if (bits.every((byte) => byte === 0)) this.#pages.delete(page);
    }
  }

  /** Stores the page of a physical address, even if nothing of it is kept. */
  store(address: number): void {
    this.#mark(Math.floor(address / this.pageSize), 0, 0);
  }

  /** Notes that memory exists, and is not to be had. */
  miss(address: number): void {
    this.#missing.add(Math.floor(address / this.pageSize));
  }

  /** Numbers of pages of which something is kept, ascending. */
  get pages(): number[] {
    return [...this.#pages.keys()].sort((a, b) => a - b);
  }

  /** Numbers of pages that were wanted and are missing. */
  get missing(): Iterable<number> {
    return this.#missing;
  }

  /** What is kept of a page. */
  rangesOf(page: number): readonly ByteRange[] | typeof WHOLE {
    const bits = this.#pages.get(page);
    if (bits === WHOLE) return WHOLE;
    if (bits === undefined) return [];
    const ranges: ByteRange[] = [];
    let start = -1;
    for (let at = 0; at <= this.pageSize; at++) {
      const kept = at < this.pageSize && (bits[at >>> 3]! & (1 << (at & 7))) !== 0;
      if (kept && start < 0) start = at;
      else if (!kept && start >= 0) {
        ranges.push({ start, end: at });
        start = -1;
      }
    }
    const [first] = ranges;
    return first?.start === 0 && first.end === this.pageSize ? WHOLE : ranges;
  }

  #mark(page: number, from: number, to: number): void {
    let bits = this.#pages.get(page);
    if (bits === WHOLE) return;
    if (bits === undefined) {
      bits = new Uint8Array(this.pageSize / 8);
      this.#pages.set(page, bits);
    }
    for (let at = from; at < to; ) {
      if ((at & 7) === 0 && to - at >= 8) {
        bits[at >>> 3] = 0xff;
        at += 8;
      } else {
        bits[at >>> 3]! |= 1 << (at & 7);
        at++;
      }
    }
  }
}
