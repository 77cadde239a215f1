/** Maximum number of partially kept pages: 16 GiB of 4 KiB pages, the struct pages of 1 TiB. */
const MAX_PAGES = 1 << 22;
/** Maximum number of distinct range lists, and of their encoded bytes. */
const MAX_LISTS = 1 << 20;
const MAX_LIST_BYTES = 64 << 20;

/** Byte range in a page, `end` exclusive; ranges are ascending and do not touch. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The kept byte ranges of pages, by page number (physical address ÷ page size). Millions of struct
 * pages share the same ranges, and those of a busy machine have a hundred thousand different lists
 * of a hundred ranges each: so each distinct list is stored once, encoded, and decoded on access.
 */
export class KeptRanges {
  readonly #pageSize: number;
  readonly #damaged: (how: string) => Error;
  /** LEB128 numbers, one character per byte. */
  readonly #pages = new Map<number, string>();
  readonly #lists = new Map<string, string>();
  #listBytes = 0;
  #highest = -1;
  /** Position of the previous encoded list. */
  #previous: { list: Buffer; start: number; end: number; text: string | undefined } = {
    list: Buffer.alloc(0),
    start: 0,
    end: 0,
    text: undefined,
  };
  /** The page that was accessed last. */
  #last: { readonly page: number; readonly ranges: readonly ByteRange[] | undefined } = {
    page: -1,
    ranges: undefined,
  };

  /** @param damaged creates the error for malformed numbers */
  constructor(pageSize: number, damaged: (how: string) => Error) {
    this.#pageSize = pageSize;
    this.#damaged = damaged;
  }

  /**
   * Adds a page after all others; its ranges are read from a list: the number of ranges, and for
   * each the bytes since the previous one's end and its length.
   */
  add(page: number, list: Buffer, numbers: VarintReader): void {
    if (page <= this.#highest) throw this.#damaged('out of order');
    this.#highest = page;
    this.#pages.set(page, this.#readList(list, numbers));
    const { size } = this.#pages;
    if (size > MAX_PAGES || this.#lists.size > MAX_LISTS || this.#listBytes > MAX_LIST_BYTES)
      throw this.#damaged('too long');
  }

  /** Reads the encoded ranges of a page: usually those of the page before it. */
  #readList(list: Buffer, numbers: VarintReader): string {
    const from = numbers.at;
    const { list: last, start, end, text } = this.#previous;
    const length = end - start;
    const isSame = from + length <= list.length && text !== undefined;
    if (isSame && last.compare(list, from, from + length, start, end) === 0) {
      numbers.skip(length);
      return text;
    }
    const count = numbers.next();
    if (count === undefined || count > this.#pageSize) throw this.#damaged('too many ranges');
    for (let remaining = 2 * count; remaining > 0; remaining--) numbers.next();
    const encoded = list.toString('latin1', from, numbers.at);
    let same = this.#lists.get(encoded);
    if (same === undefined) {
      this.#read(encoded);
      this.#lists.set(encoded, encoded);
      this.#listBytes += encoded.length;
      same = encoded;
    }
    this.#previous = { list, start: from, end: numbers.at, text: same };
    return same;
  }

  /** Kept ranges of a page; undefined if all of it is kept. */
  of(page: number): readonly ByteRange[] | undefined {
    if (page === this.#last.page) return this.#last.ranges;
    const encoded = this.#pages.get(page);
    const ranges = encoded === undefined ? undefined : this.#read(encoded);
    this.#last = { page, ranges };
    return ranges;
  }

  /** All partially kept pages, in insertion order. */
  *[Symbol.iterator](): Generator<[page: number, ranges: readonly ByteRange[]]> {
    for (const [page, encoded] of this.#pages) yield [page, this.#read(encoded)];
  }

  #read(encoded: string): ByteRange[] {
    const numbers = new VarintReader(Buffer.from(encoded, 'latin1'), this.#damaged);
    const ranges: ByteRange[] = [];
    let end = 0;
    for (let remaining = numbers.next() ?? 0; remaining > 0; remaining--) {
      const start = end + (numbers.next() ?? this.#pageSize);
      end = start + (numbers.next() ?? 0);
      if (end <= start || end > this.#pageSize) throw this.#damaged('range crosses its page');
      ranges.push({ start, end });
    }
    return ranges;
  }
}

/** Writes LEB128: seven bits per byte, the lowest first. Numbers are integers below 2⁴⁹. */
export class VarintWriter {
  #bytes = new Uint8Array(4096);
  #length = 0;

  push(number: number): void {
    // Maximum bytes of a number.
    if (this.#length + 8 > this.#bytes.length) this.#grow();
    let rest = number;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80))
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
    this.#bytes[this.#length++] = rest;
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(): void {
    const larger = new Uint8Array(2 * this.#bytes.length);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** Reads consecutive LEB128 numbers. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  readonly #damaged: (how: string) => Error;
  #at = 0;

  /** @param damaged creates the error for a malformed number */
  constructor(bytes: Uint8Array, damaged: (how: string) => Error) {
    this.#bytes = bytes;
    this.#damaged = damaged;
  }

  get at(): number {
    return this.#at;
  }

  skip(bytes: number): void {
    this.#at += bytes;
  }

  /** The next number, or undefined at the end. */
  next(): number | undefined {
    if (this.#at >= this.#bytes.length) return undefined;
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 0x80) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw this.#damaged('truncated number');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw this.#damaged('number does not end');
  }
}
