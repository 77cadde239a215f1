import { deflateSync, inflateSync } from 'node:zlib';
import { bytesOf, viewOf } from '../../bytes.js';
import { KernelError, ReadError } from '../../error.js';
import type { Place } from '../../kernel.js';
import type { MemoryImage } from './image.js';
import type { Note } from './notes.js';
import { firstEndingAbove } from './sorted.js';
import { VarintReader, VarintWriter } from './varints.js';
import { WrappedImage } from './wrapped-image.js';

/** A note of ours: crash and makedumpfile pass over types that they don't know. */
const NAME = 'kdump-mem';
const TYPE = 0x4b455054;
const VERSION = 1;
/** The list before it is compressed. */
const MOST_BYTES = 128 << 20;
/** Pages of which a part is kept: 16 GiB of 4 KiB ones. */
const MOST_PAGES = 1 << 22;
/** Ranges that differ from those of all other pages: struct pages by the million are kept alike. */
const MOST_RANGES = 1 << 20;
const MOST_PAGE_SHIFT = 16;

/** Bytes of a page, ascending and apart from each other, `end` exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Which bytes of a dump's pages are the kernel's. `kdump-mem extract` writes zeros over everything
 * else of a page; whoever reads those must be told that they are not there.
 */
export interface KeptBytes {
  readonly pageSize: number;
  /** By page number (physical address ÷ page size). A page that is not here is whole. */
  readonly pages: ReadonlyMap<number, readonly ByteRange[]>;
}

/**
 * The note that tells it: a version, log2 of the page size, then deflated LEB128 numbers: for each
 * page the distance from the last one, the number of its ranges, and for each of them the bytes
 * since the last one's end and its length.
 *
 * @param pages ascending
 */
export function keptBytesNote(
  pageSize: number,
  pages: Iterable<readonly [page: number, ranges: readonly ByteRange[]]>,
): Note {
  const numbers = new VarintWriter();
  let last = 0;
  for (const [page, ranges] of pages) {
    numbers.push(page - last);
    numbers.push(ranges.length);
    last = page;
    let end = 0;
    for (const range of ranges) {
      numbers.push(range.start - end);
      numbers.push(range.end - range.start);
      end = range.end;
    }
  }
  const head = Uint8Array.of(VERSION, Math.log2(pageSize));
  const body = deflateSync(numbers.bytes, { level: 9 });
  return { name: NAME, type: TYPE, data: viewOf(Buffer.concat([head, body])) };
}

/** @throws {KernelError} `damaged` when there is such a note and it makes no sense */
export function keptBytesOf(notes: readonly Note[]): KeptBytes | undefined {
  const note = notes.find(({ name, type }) => name === NAME && type === TYPE);
  if (note === undefined) return undefined;
  const { data } = note;
  if (data.byteLength < 2) throw damaged('is too short');
  const version = data.getUint8(0);
  if (version !== VERSION) {
    const message = `the dump was cut by a newer kdump-mem (list ${version})`;
    throw new KernelError('unsupported-format', message);
  }
  const shift = data.getUint8(1);
  if (shift > MOST_PAGE_SHIFT) throw damaged(`has pages of 2^${shift} bytes`);
  const list = inflated(data);
  const numbers = new VarintReader(list, damaged);
  const pageSize = 2 ** shift;
  const pages = new Map<number, readonly ByteRange[]>();
  const known = new Map<string, readonly ByteRange[]>();
  let page = 0;
  let different = 0;
  for (let step = numbers.next(); step !== undefined; step = numbers.next()) {
    page += step;
    const from = numbers.at;
    const count = numbers.next();
    if (count === undefined || count > pageSize) throw damaged('counts too many ranges');
    const ranges: ByteRange[] = [];
    let end = 0;
    for (let i = 0; i < count; i++) {
      const start = end + (numbers.next() ?? pageSize);
      end = start + (numbers.next() ?? 0);
      if (end <= start || end > pageSize) throw damaged('has a range that leaves its page');
      ranges.push({ start, end });
    }
    const spelled = list.toString('latin1', from, numbers.at);
    let same = known.get(spelled);
    if (same === undefined) {
      known.set(spelled, ranges);
      same = ranges;
      different += count;
    }
    pages.set(page, same);
    if (pages.size > MOST_PAGES || different > MOST_RANGES) throw damaged('has no end');
  }
  return { pageSize, pages };
}

/** An image in which bytes that were not kept cannot be read; the image itself where it has all. */
export function withKeptBytes(image: MemoryImage): MemoryImage {
  const kept = keptBytesOf(image.notes ?? []);
  return kept === undefined ? image : new KeptBytesImage(image, kept);
}

class KeptBytesImage extends WrappedImage {
  readonly keptBytes: KeptBytes;

  constructor(image: MemoryImage, kept: KeptBytes) {
    super(image, { description: `${image.facts.description}, cut by kdump-mem extract` });
    this.keptBytes = kept;
  }

  readPhysical(address: number, length: number): DataView {
    const missing = this.#firstMissing(address, address + length);
    if (missing < 0) return this.image.readPhysical(address, length);
    // A page that is not stored may come before it.
    if (missing > address) this.image.readPhysical(address, missing - address);
    const detail = 'kdump-mem extract kept what its questions had read';
    throw new ReadError('filtered', BigInt(missing), detail);
  }

  place(address: number, length: number, place: Place): boolean {
    const isKept = this.#firstMissing(address, address + length) < 0;
    return isKept && this.image.place?.(address, length, place) === true;
  }

  /** Physical address of the first byte that was not kept of the pages that are stored, or -1. */
  #firstMissing(address: number, end: number): number {
    const { pageSize, pages } = this.keptBytes;
    for (let at = address; at < end; ) {
      const page = Math.floor(at / pageSize);
      const start = page * pageSize;
      const ranges = pages.get(page);
      if (ranges !== undefined) {
        const missing = firstMissing(ranges, at - start, Math.min(end - start, pageSize));
        if (missing >= 0) return start + missing;
      }
      at = start + pageSize;
    }
    return -1;
  }
}

/** The first of the bytes from `start` to `end` that no range holds, or -1. */
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
    return inflateSync(body, { maxOutputLength: MOST_BYTES });
  } catch (cause) {
    throw damaged('does not inflate', cause);
  }
}

function damaged(how: string, cause?: unknown): KernelError {
  return new KernelError('damaged', `the dump’s list of kept bytes ${how}`, { cause });
}
