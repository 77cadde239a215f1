import { deflateSync, inflateSync } from 'node:zlib';
import { KernelError, NOT_KEPT, ReadError } from '../../../base/errors.js';
import { type ByteWindow, bytesOf, viewOf } from '../../bytes.js';
import { firstEndingAbove, type MemoryImage, WrappedImage } from './image.js';
import { type ByteRange, KeptRanges, VarintReader, VarintWriter } from './kept-ranges.js';
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
