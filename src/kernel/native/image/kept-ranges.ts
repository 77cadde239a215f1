import { VarintReader } from './varints.js';

/** Pages of which a part is kept: 16 GiB of 4 KiB ones, the struct pages of 1 TiB. */
const MOST_PAGES = 1 << 22;
/** Ways in which pages are kept, and what it takes to tell them. */
const MOST_WAYS = 1 << 20;
const MOST_WAY_BYTES = 64 << 20;

/** Bytes of a page, ascending and apart from each other, `end` exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * What is kept of pages, by their numbers (physical address ÷ page size). Struct pages by the million
 * are kept alike, and those of a busy machine in a hundred thousand ways of a hundred ranges each: so
 * it is kept as it was told, once for all pages that are alike, and read when it is asked for.
 */
export class KeptRanges {
  readonly #pageSize: number;
  readonly #damaged: (how: string) => Error;
  /** LEB128 numbers, a character each byte. */
  readonly #pages = new Map<number, string>();
  readonly #ways = new Map<string, string>();
  #wayBytes = 0;
  #highest = -1;
  /** Where the last way was told. */
  #before: { list: Buffer; start: number; end: number; way: string | undefined } = {
    list: Buffer.alloc(0),
    start: 0,
    end: 0,
    way: undefined,
  };
  /** The page that was asked for last. */
  #last: { readonly page: number; readonly ranges: readonly ByteRange[] | undefined } = {
    page: -1,
    ranges: undefined,
  };

  /** @param damaged makes the error that is thrown when numbers make no sense */
  constructor(pageSize: number, damaged: (how: string) => Error) {
    this.#pageSize = pageSize;
    this.#damaged = damaged;
  }

  /**
   * Adds a page behind all others, of which a list tells from where it is read: the number of ranges,
   * and for each of them the bytes since the last one's end and its length.
   */
  add(page: number, list: Buffer, numbers: VarintReader): void {
    if (page <= this.#highest) throw this.#damaged('out of order');
    this.#highest = page;
    this.#pages.set(page, this.#way(list, numbers));
    const { size } = this.#pages;
    if (size > MOST_PAGES || this.#ways.size > MOST_WAYS || this.#wayBytes > MOST_WAY_BYTES)
      throw this.#damaged('too long');
  }

  /** Reads in which way a page is kept: mostly as the one before it. */
  #way(list: Buffer, numbers: VarintReader): string {
    const from = numbers.at;
    const { list: last, start, end, way } = this.#before;
    const length = end - start;
    const isSame = from + length <= list.length && way !== undefined;
    if (isSame && last.compare(list, from, from + length, start, end) === 0) {
      numbers.skip(length);
      return way;
    }
    const count = numbers.next();
    if (count === undefined || count > this.#pageSize) throw this.#damaged('too many ranges');
    for (let left = 2 * count; left > 0; left--) numbers.next();
    const told = list.toString('latin1', from, numbers.at);
    let same = this.#ways.get(told);
    if (same === undefined) {
      this.#read(told);
      this.#ways.set(told, told);
      this.#wayBytes += told.length;
      same = told;
    }
    this.#before = { list, start: from, end: numbers.at, way: same };
    return same;
  }

  /** What is kept of a page; undefined if all of it is. */
  of(page: number): readonly ByteRange[] | undefined {
    if (page === this.#last.page) return this.#last.ranges;
    const told = this.#pages.get(page);
    const ranges = told === undefined ? undefined : this.#read(told);
    this.#last = { page, ranges };
    return ranges;
  }

  /** All pages of which a part is kept, in the order in which they were added. */
  *[Symbol.iterator](): Generator<[page: number, ranges: readonly ByteRange[]]> {
    for (const [page, told] of this.#pages) yield [page, this.#read(told)];
  }

  #read(told: string): ByteRange[] {
    const numbers = new VarintReader(Buffer.from(told, 'latin1'), this.#damaged);
    const ranges: ByteRange[] = [];
    let end = 0;
    for (let left = numbers.next() ?? 0; left > 0; left--) {
      const start = end + (numbers.next() ?? this.#pageSize);
      end = start + (numbers.next() ?? 0);
      if (end <= start || end > this.#pageSize) throw this.#damaged('range crosses its page');
      ranges.push({ start, end });
    }
    return ranges;
  }
}
