import { ReadError } from '../../error.js';
import type { Place } from '../../kernel.js';
import { type BlockCache, CHUNK } from './cache.js';
import type { PhysicalRange, VirtualRange } from './image.js';
import { CHUNKS_PER_LINE, LineCache, within } from './lines.js';
import type { ByteSource } from './source.js';

/** A stretch of memory that lies in a file as plain bytes: a PT_LOAD. */
export interface Segment {
  /** Where its first byte lies in the file. /proc/kcore's go beyond 2^53. */
  readonly offset: bigint;
  /** Virtual address of the first byte, or undefined if the file doesn't say. */
  readonly virtual: bigint | undefined;
  /** Physical address of the first byte, or undefined if the file doesn't say. */
  readonly physical: number | undefined;
  /** Bytes that are stored. */
  readonly stored: number;
  /** Bytes of memory described; those behind `stored` were left out by a filter. */
  readonly described: number;
}

/** The most that one read may ask for, in bytes: a wrong length must not exhaust memory. */
export const LONGEST_READ = 256 * 1024 * 1024;

/**
 * Memory as segments of a file, by physical and by virtual address, in chunks through a cache.
 * Segments may overlap physically (a kdump's kernel text lies in RAM as well): the one that starts
 * first serves the bytes.
 */
export class SegmentMemory {
  readonly #source: ByteSource;
  readonly #segments: readonly Segment[];
  readonly #chunks: LineCache;
  /** The key of each segment's chunk 0. */
  readonly #firstChunk: Float64Array;
  readonly #stored: Pieces;
  readonly #described: Pieces;
  readonly #virtual: readonly { start: bigint; end: bigint; segment: number }[];
  readonly #found: Place = { view: new DataView(new ArrayBuffer(0)), base: 0 };
  /** Live memory has holes that a longer read would run into. */
  readonly #ahead: boolean;
  /** Chunks that reads have touched since noteReads. */
  #noted: Set<number> | undefined;

  constructor(source: ByteSource, segments: readonly Segment[], cache: BlockCache) {
    this.#source = source;
    this.#segments = segments;
    this.#chunks = new LineCache(cache.budget, (...asked) => this.#fill(...asked));
    this.#ahead = source.size !== Number.POSITIVE_INFINITY;
    this.#firstChunk = new Float64Array(segments.length);
    let chunks = 0;
    segments.forEach((segment, i) => {
      this.#firstChunk[i] = chunks;
      // No line holds chunks of two segments.
      chunks += Math.ceil(segment.stored / (CHUNK * CHUNKS_PER_LINE)) * CHUNKS_PER_LINE;
    });
    this.#stored = pieces(segments, (s) => s.stored);
    this.#described = pieces(segments, (s) => s.described);
    this.#virtual = segments
      .flatMap(({ virtual, described }, segment) =>
        virtual === undefined || described === 0
          ? []
          : [{ start: virtual, end: virtual + BigInt(described), segment }],
      )
      .sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  }

  get virtualRanges(): VirtualRange[] {
    return this.#virtual.map(({ start, segment }) => {
      const { described, physical } = this.#segments[segment]!;
      return { address: start, length: described, physical };
    });
  }

  *physicalRanges(): Generator<PhysicalRange> {
    const { starts, ends, segments } = this.#stored;
    let start = -1;
    let end = -1;
    for (let i = 0; i < starts.length; i++) {
      // What the file's end cuts off is not stored.
      const { offset, physical } = this.#segments[segments[i]!]!;
      const there = physical! + Math.max(0, this.#source.size - Number(offset));
      const pieceEnd = Math.min(ends[i]!, there);
      if (pieceEnd <= starts[i]!) continue;
      if (starts[i] !== end) {
        if (end > start) yield { start, end };
        start = starts[i]!;
      }
      end = pieceEnd;
    }
    if (end > start) yield { start, end };
  }

  readPhysical(address: number, length: number): DataView {
    const { starts, ends, segments } = this.#stored;
    const piece = pieceAt(this.#stored, address);
    if (piece < 0) throw this.#absent(address);
    const segment = segments[piece]!;
    const relative = address - this.#segments[segment]!.physical!;
    if (address + length <= ends[piece]!) return this.#read(segment, relative, length, address);

    refuseLength(address, length);
    const whole = new Uint8Array(length);
    let done = 0;
    for (let i = piece; done < length; i++) {
      const at = address + done;
      if (i >= starts.length || starts[i]! > at) throw this.#absent(at);
      const part = Math.min(length - done, ends[i]! - at);
      const from = at - this.#segments[segments[i]!]!.physical!;
      whole.set(bytesOf(this.#read(segments[i]!, from, part, at)), done);
      done += part;
    }
    return new DataView(whole.buffer);
  }

  /** See MemoryImage. */
  place(address: number, length: number, place: Place): boolean {
    const piece = pieceAt(this.#stored, address);
    if (piece < 0 || address + length > this.#stored.ends[piece]!) return false;
    const segment = this.#stored.segments[piece]!;
    return this.#place(segment, address - this.#segments[segment]!.physical!, length, place);
  }

  /** Undefined where no segment holds `address`. */
  readVirtual(address: bigint, length: number): DataView | undefined {
    let piece = virtualAt(this.#virtual, address);
    if (piece < 0) return undefined;
    if (address + BigInt(length) <= this.#virtual[piece]!.end) {
      return this.#readVirtualPiece(piece, address, length);
    }
    refuseLength(address, length);
    const whole = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const at = address + BigInt(done);
      piece = virtualAt(this.#virtual, at);
      if (piece < 0) throw new ReadError('absent', at);
      const left = this.#virtual[piece]!.end - at;
      const part = left < length - done ? Number(left) : length - done;
      whole.set(bytesOf(this.#readVirtualPiece(piece, at, part)), done);
      done += part;
    }
    return new DataView(whole.buffer);
  }

  noteReads(): () => void {
    const noted = new Set<number>();
    this.#noted = noted;
    return () => {
      for (const chunk of noted) this.#chunks.forget(chunk);
    };
  }

  #readVirtualPiece(piece: number, address: bigint, length: number): DataView {
    const { start, segment } = this.#virtual[piece]!;
    const relative = address - start;
    if (relative + BigInt(length) > BigInt(this.#segments[segment]!.stored)) {
      throw new ReadError('filtered', address);
    }
    return this.#read(segment, Number(relative), length, address);
  }

  /** Reads within one segment; `address` is for errors only. */
  #read(segment: number, relative: number, length: number, address: number | bigint): DataView {
    const place = this.#found;
    if (this.#place(segment, relative, length, place)) {
      const from = place.view.byteOffset + place.base;
      return new DataView(place.view.buffer.slice(from, from + length));
    }
    // It lies in two chunks, or in one that ends at a bad page and has more behind it.
    refuseLength(address, length);
    const whole = new Uint8Array(length);
    const wanted = this.#segments[segment]!.offset + BigInt(relative);
    if (this.#source.pread(whole, length, position(wanted)) < length) {
      throw this.#cut(segment, address);
    }
    return new DataView(whole.buffer);
  }

  #place(segment: number, relative: number, length: number, place: Place): boolean {
    // Beyond 2^31 the remainder of a division costs more than all the rest.
    const number = Math.floor(relative / CHUNK);
    const into = relative - number * CHUNK;
    if (into + length > CHUNK) return false;
    const chunk = this.#firstChunk[segment]! + number;
    this.#noted?.add(chunk);
    place.view = this.#chunks.view(chunk, this.#ahead);
    if (into + length > this.#chunks.length(chunk)) return false;
    place.base = within(chunk) + into;
    return true;
  }

  #fill(target: Uint8Array, chunk: number, chunks: number): number {
    const segment = segmentOf(this.#firstChunk, chunk);
    const { offset, stored } = this.#segments[segment]!;
    const start = (chunk - this.#firstChunk[segment]!) * CHUNK;
    const length = Math.min(chunks * CHUNK, stored - start);
    return this.#source.pread(target, length, position(offset + BigInt(start)));
  }

  #cut(segment: number, address: number | bigint): ReadError {
    const { offset, stored } = this.#segments[segment]!;
    const code = this.#source.size === Number.POSITIVE_INFINITY ? 'absent' : 'truncated';
    const cut = this.#source.cut === true || Number(offset) + stored > this.#source.size;
    return new ReadError(cut || code === 'absent' ? code : 'damaged', BigInt(address));
  }

  #absent(address: number): ReadError {
    const described = pieceAt(this.#described, address) >= 0;
    return new ReadError(described ? 'filtered' : 'absent', BigInt(address));
  }
}

/** Disjoint physical pieces in order of address, and the segment that serves each. */
interface Pieces {
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  readonly segments: Uint32Array;
}

function pieces(segments: readonly Segment[], size: (segment: Segment) => number): Pieces {
  const order = segments
    .map((_, i) => i)
    .filter((i) => segments[i]!.physical !== undefined && size(segments[i]!) > 0)
    .sort((a, b) => segments[a]!.physical! - segments[b]!.physical!);
  const starts = new Float64Array(order.length);
  const ends = new Float64Array(order.length);
  const serving = new Uint32Array(order.length);
  let count = 0;
  let end = 0;
  for (const i of order) {
    const physical = segments[i]!.physical!;
    const segmentEnd = physical + size(segments[i]!);
    if (segmentEnd <= end) continue;
    starts[count] = Math.max(physical, end);
    ends[count] = segmentEnd;
    serving[count] = i;
    end = segmentEnd;
    count++;
  }
  return {
    starts: starts.subarray(0, count),
    ends: ends.subarray(0, count),
    segments: serving.subarray(0, count),
  };
}

function pieceAt({ starts, ends }: Pieces, address: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= address) low = middle + 1;
    else high = middle;
  }
  return low > 0 && address < ends[low - 1]! ? low - 1 : -1;
}

/** The segment that a chunk belongs to. */
function segmentOf(firstChunks: Float64Array, chunk: number): number {
  let low = 0;
  let high = firstChunks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (firstChunks[middle]! <= chunk) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function virtualAt(ranges: readonly { start: bigint; end: bigint }[], address: bigint): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.start <= address) low = middle + 1;
    else high = middle;
  }
  return low > 0 && address < ranges[low - 1]!.end ? low - 1 : -1;
}

function position(offset: bigint): number | bigint {
  return offset <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(offset) : offset;
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function refuseLength(address: number | bigint, length: number): void {
  if (length <= LONGEST_READ) return;
  throw new ReadError('refused', BigInt(address), `${length} bytes are too many for one read`);
}
