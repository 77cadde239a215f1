import type { ByteRange } from '../kernel/native/parts.js';

/** A page that is kept completely. */
export const WHOLE = 'whole';

/** Maximum number of pages whose bits can still be changed individually: 2 MiB of bits for pages of 4 KiB. */
const MAX_OPEN = 4096;

/** Number of recent bit patterns that are compared. */
const MAX_PATTERNS = 65_536;

/**
 * The bytes of physical memory that an extract keeps. Pages are numbered: physical address ÷ page size. A
 * million struct pages are kept alike, so pages share their bitmaps: except for recent ones, a page takes
 * only the room of its number.
 */
export class KeptPages {
  readonly pageSize: number;
  /** A bit for each byte of a page, or a mark that all are kept. */
  readonly #pages = new Map<number, Uint8Array | typeof WHOLE>();
  /** Pages that do not share their bits. */
  readonly #open = new Set<number>();
  /** Shared bitmaps by content. */
  readonly #patterns = new Map<string, Uint8Array>();
  /** Pages of existing memory that could not be read. */
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
      if (to - from === pageSize) this.keepWhole(page);
      else this.#mark(page, from, to);
      at = (page + 1) * pageSize;
    }
  }

  /** Keeps a complete page. */
  keepWhole(page: number): void {
    this.#pages.set(page, WHOLE);
    this.#open.delete(page);
  }

  /** Discards everything kept of a page. */
  drop(page: number): void {
    this.#pages.delete(page);
    this.#open.delete(page);
  }

  /** Drops `length` bytes, except on pages that were read completely for other reasons. */
  forget(address: number, length: number): void {
    const { pageSize } = this;
    const end = address + length;
    for (let page = Math.floor(address / pageSize); page * pageSize < end; page++) {
      const start = page * pageSize;
      const known = this.#pages.get(page);
      if (start >= address && start + pageSize <= end) this.drop(page);
      if (known === undefined || known === WHOLE) continue;
      const bits = this.#writable(page, known);
      const last = Math.min(pageSize, end - start);
      for (let at = Math.max(0, address - start); at < last; at++) bits[at >>> 3]! &= ~(1 << (at & 7));
      if (bits.every((byte) => byte === 0)) this.drop(page);
    }
  }

  /** Stores the page of a physical address, even if none of its bytes are kept. */
  store(address: number): void {
    this.#mark(Math.floor(address / this.pageSize), 0, 0);
  }

  /** Records that memory exists, but is not available. */
  miss(address: number): void {
    this.#missing.add(Math.floor(address / this.pageSize));
  }

  /** Numbers of pages with kept bytes, ascending. */
  get pages(): number[] {
    return [...this.#pages.keys()].sort((a, b) => a - b);
  }

  /** Partly kept pages, ascending, with their ranges. */
  *partial(): Generator<[page: number, ranges: readonly ByteRange[]]> {
    for (const page of this.pages) {
      const ranges = this.rangesOf(page);
      if (ranges !== WHOLE) yield [page, ranges];
    }
  }

  /** Numbers of required pages that are missing. */
  get missing(): Iterable<number> {
    return this.#missing;
  }

  /** Kept ranges of a page. */
  rangesOf(page: number): readonly ByteRange[] | typeof WHOLE {
    const bits = this.#pages.get(page);
    if (bits === WHOLE) return WHOLE;
    if (bits === undefined) return [];
    const ranges = rangesOfBits(bits);
    const [first] = ranges;
    return first?.start === 0 && first.end === this.pageSize ? WHOLE : ranges;
  }

  /** Whether any of `length` bytes at an offset in a page is kept. */
  keepsAny(page: number, at: number, length: number): boolean {
    const bits = this.#pages.get(page);
    if (bits === undefined || bits === WHOLE) return bits === WHOLE;
    for (let byte = at; byte < at + length; byte++) if ((bits[byte >>> 3]! & (1 << (byte & 7))) !== 0) return true;
    return false;
  }

  #mark(page: number, from: number, to: number): void {
    const known = this.#pages.get(page);
    if (known === WHOLE) return;
    const bits = this.#writable(page, known);
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

  /** Returns a page's bits in a copy that it does not share. */
  #writable(page: number, known: Uint8Array | undefined): Uint8Array {
    if (known !== undefined && this.#open.has(page)) return known;
    if (this.#open.size >= MAX_OPEN) this.#share();
    const bits = known === undefined ? new Uint8Array(this.pageSize / 8) : Uint8Array.from(known);
    this.#pages.set(page, bits);
    this.#open.add(page);
    return bits;
  }

  /** Lets pages with the same bits share one copy. */
  #share(): void {
    for (const page of this.#open) {
      const bits = this.#pages.get(page);
      if (bits === undefined || bits === WHOLE) continue;
      const spelled = Buffer.from(bits.buffer).toString('latin1');
      const same = this.#patterns.get(spelled);
      if (same !== undefined) {
        this.#pages.set(page, same);
        continue;
      }
      // Dropped patterns stay shared by their pages, but not with later ones.
      if (this.#patterns.size >= MAX_PATTERNS) this.#patterns.clear();
      this.#patterns.set(spelled, bits);
    }
    this.#open.clear();
  }
}

/** Returns the ranges of bytes whose bits are set, starting with the lowest bit of the first byte. */
function rangesOfBits(bits: Uint8Array): ByteRange[] {
  const ranges: ByteRange[] = [];
  const end = bits.length * 8;
  for (let at = next(bits, 0, true); at < end; ) {
    const behind = next(bits, at, false);
    ranges.push({ start: at, end: behind });
    at = next(bits, behind, true);
  }
  return ranges;
}

/** Index of the first set (or clear) bit from `at` on; the number of bits if there is none. */
function next(bits: Uint8Array, at: number, isSet: boolean): number {
  const end = bits.length * 8;
  const passed = isSet ? 0 : 0xff;
  for (let bit = at; bit < end; ) {
    const byte = bits[bit >>> 3]!;
    if (byte === passed) bit = (bit | 7) + 1;
    else if (((byte >>> (bit & 7)) & 1) === (isSet ? 1 : 0)) return bit;
    else bit++;
  }
  return end;
}
