import { deflateSync, inflateSync } from 'node:zlib';
import { KernelError, NOT_KEPT, ReadError } from '../../../base/errors.js';
import { type ByteWindow, bytesOf, viewOf } from '../../bytes.js';
import { firstEndingAbove, type MemoryImage, WrappedImage } from './image.js';
import type { Note } from './notes.js';

/** Owner name of kdump-mem's notes: crash and makedumpfile skip unknown types. */
const NAME = 'kdump-mem';
const TYPE = 0x4b455054;
const VERSION = 1;
/** Maximum uncompressed size of a list; longer ones continue in another note. */
const MAX_LIST_BYTES = 64 << 20;
/** Maximum size of all lists: enough for the struct pages of 512 GiB, with two ranges each. */
const MAX_BYTES = 512 << 20;
/** Upper bound on a page's part of a list: two numbers, and two of three bytes for each range. */
const longestPart = (pageSize: number): number => 16 + pageSize * 3;
const MAX_PAGE_SHIFT = 16;

/**
 * The bytes of a dump's pages that an extract contains. `kdump-mem extract` zeroes all other bytes
 * of a page; readers must treat them as missing.
 */
export interface KeptBytes {
  readonly pageSize: number;
  /** Pages without an entry are complete. */
  readonly pages: KeptRanges;
}

/**
 * The notes that describe the kept bytes. Each contains a version, log2 of the page size, then a list of
 * deflated LEB128 numbers: for each page the distance from the previous one (in the list), the number of its
 * ranges, and for each range the bytes since the previous one's end and its length.
 *
 * @param pages ascending
 * @param limit maximum bytes of a list, except for its last page
 * @returns one note, or more if a list gets too long
 */
export function keptBytesNotes(
  pageSize: number,
  pages: Iterable<readonly [page: number, ranges: readonly ByteRange[]]>,
  limit = MAX_LIST_BYTES - longestPart(pageSize),
): Note[] {
  const notes: Note[] = [];
  let numbers = new VarintWriter();
  let last = 0;
  const end = (): void => {
    const head = Uint8Array.of(VERSION, Math.log2(pageSize));
    const body = deflateSync(numbers.bytes, { level: 9 });
    notes.push({ name: NAME, type: TYPE, data: viewOf(Buffer.concat([head, body])) });
    numbers = new VarintWriter();
    last = 0;
  };
  for (const [page, ranges] of pages) {
    if (numbers.bytes.length > limit) end();
    numbers.push(page - last);
    numbers.push(ranges.length);
    last = page;
    let at = 0;
    for (const range of ranges) {
      numbers.push(range.start - at);
      numbers.push(range.end - range.start);
      at = range.end;
    }
  }
  if (numbers.bytes.length > 0) end();
  return notes;
}

/** Whether a dump with these notes is an extract. */
export function isExtract(notes: readonly Note[]): boolean {
  return notes.some(({ name, type }) => name === NAME && type === TYPE);
}

/** @throws {KernelError} `damaged` when such notes are malformed */
export function keptBytesOf(notes: readonly Note[]): KeptBytes | undefined {
  const lists = notes.filter(({ name, type }) => name === NAME && type === TYPE);
  const [first] = lists;
  if (first === undefined) return undefined;
  const shift = shiftOf(first);
  const pageSize = 2 ** shift;
  const pages = new KeptRanges(pageSize, damaged);
  let bytes = 0;
  for (const { data } of lists) {
    if (shiftOf({ data }) !== shift) throw damaged('pages of two sizes');
    const list = inflated(data);
    bytes += list.length;
    if (bytes > MAX_BYTES) throw damaged('too long');
    readList(list, pages);
  }
  return { pageSize, pages };
}

/** log2 of the page size. */
function shiftOf({ data }: Pick<Note, 'data'>): number {
  if (data.byteLength < 2) throw damaged('too short');
  const version = data.getUint8(0);
  if (version !== VERSION) {
    const message = `the extract was written by a newer kdump-mem (list version ${version})`;
    throw new KernelError('unsupported-format', message);
  }
  const shift = data.getUint8(1);
  if (shift > MAX_PAGE_SHIFT) throw damaged(`page size 2^${shift}`);
  return shift;
}

function readList(list: Buffer, pages: KeptRanges): void {
  const numbers = new VarintReader(list, damaged);
  let page = 0;
  for (let step = numbers.next(); step !== undefined; step = numbers.next()) {
    page += step;
    pages.add(page, list, numbers);
  }
}

/** Returns an image in which bytes that were not kept cannot be read; the image itself if it is complete. */
export function withKeptBytes(image: MemoryImage): MemoryImage {
  const kept = keptBytesOf(image.notes ?? []);
  return kept === undefined ? image : new KeptBytesImage(image, kept);
}

class KeptBytesImage extends WrappedImage {
  readonly keptBytes: KeptBytes;

  constructor(image: MemoryImage, kept: KeptBytes) {
    super(image, { description: `${image.facts.description}, extract` });
    this.keptBytes = kept;
  }

  readPhysical(address: number, length: number): DataView {
    const missing = this.#firstMissing(address, address + length);
    if (missing < 0) return this.image.readPhysical(address, length);
    // A page that is not stored may precede it.
    if (missing > address) this.image.readPhysical(address, missing - address);
    throw new ReadError('filtered', BigInt(missing), NOT_KEPT);
  }

  locate(address: number, length: number, window: ByteWindow): boolean {
    const isKept = this.#firstMissing(address, address + length) < 0;
    return isKept && this.image.locate?.(address, length, window) === true;
  }

  /** Physical address of the first byte of a stored page that was not kept, or -1. */
  #firstMissing(address: number, end: number): number {
    const { pageSize, pages } = this.keptBytes;
    for (let at = address; at < end; ) {
      const page = Math.floor(at / pageSize);
      const start = page * pageSize;
      const ranges = pages.of(page);
      if (ranges !== undefined) {
        const missing = firstMissing(ranges, at - start, Math.min(end - start, pageSize));
        if (missing >= 0) return start + missing;
      }
      at = start + pageSize;
    }
    return -1;
  }
}

/** The first byte from `start` to `end` that is in no range, or -1. */
function firstMissing(ranges: readonly ByteRange[], start: number, end: number): number {
  let at = start;
  for (let i = firstEndingAbove(ranges, start); i < ranges.length && at < end; i++) {
    const range = ranges[i]!;
    if (range.start > at) return at;
    at = range.end;
  }
  return at < end ? at : -1;
}

function inflated(data: DataView): Buffer {
  const body = bytesOf(data, 2);
  try {
    return inflateSync(body, { maxOutputLength: MAX_LIST_BYTES });
  } catch (cause) {
    throw damaged('decompression failed', cause);
  }
}

function damaged(how: string, cause?: unknown): KernelError {
  return new KernelError('damaged', `extract: malformed list of stored bytes (${how})`, { cause });
}

/** Maximum number of partially kept pages: 16 GiB of 4 KiB pages, the struct pages of 1 TiB. */
const MAX_PAGES = 1 << 22;
/** Maximum number of distinct range lists, and of their encoded bytes. */
const MAX_LISTS = 1 << 20;

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
class KeptRanges {
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
  #last: { readonly page: number; readonly ranges: readonly ByteRange[] | undefined } = { page: -1, ranges: undefined };

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
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
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
