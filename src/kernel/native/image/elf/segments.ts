import { KernelError, ReadError, readOrNot } from '../../../../base/errors.js';
import { type ByteWindow, bytesOf } from '../../../bytes.js';
import type { FileRange } from '../../../kernel.js';
import { ascending, numberKeys } from '../../symbols.js';
import { type ByteSource, checkLength } from '../byte-source.js';
import { type BlockCache, CHUNK, CHUNKS_PER_LINE, LineCache, offsetInLine } from '../cache.js';
import { joined, lastAtOrBelow, type PhysicalRange, type VirtualRange } from '../image.js';
import { type SegmentTable, VirtualSegments } from './header.js';

/**
 * Memory in segments of a file, by physical and by virtual address, in chunks through a cache. Segments may
 * overlap physically (a kdump's kernel text is also in RAM): bytes are read from the one that starts first, of those
 * that a truncated file still has.
 */
export class SegmentMemory {
  readonly #source: ByteSource;
  readonly #segments: SegmentTable;
  readonly #chunks: LineCache;
  /** Cache key of each segment's chunk 0. */
  readonly #firstChunk: Float64Array;
  /** Number of bytes of each segment that the file has. */
  readonly #present: Float64Array;
  readonly #readable: Pieces;
  /** As the headers say; those beyond `#readable` are truncated, those beyond both were filtered out. */
  readonly #stored: Pieces;
  readonly #described: Pieces;
  readonly #virtual: VirtualSegments;
  readonly #found: ByteWindow = { view: new DataView(new ArrayBuffer(0)), base: 0 };
  /** Disabled for live memory: its holes would make longer reads fail. */
  readonly #readAhead: boolean;
  /** Chunks that were read since noteReads. */
  #noted: Set<number> | undefined;

  /** @throws {KernelError} `damaged` for segments larger than any file */
  constructor(source: ByteSource, segments: SegmentTable, cache: BlockCache) {
    this.#source = source;
    this.#segments = segments;
    this.#chunks = new LineCache(cache.budget, (...request) => this.#fill(...request));
    this.#readAhead = source.size !== Number.POSITIVE_INFINITY;
    this.#firstChunk = firstChunks(source, segments);
    const { stored, described } = segments;
    const inFile = (segment: number) => source.size - Number(segments.offset(segment));
    this.#present = stored.map((bytes, segment) => Math.max(0, Math.min(bytes, inFile(segment))));
    this.#readable = piecesOf(segments, this.#present);
    const same = (left: Float64Array, right: Float64Array) => left.every((bytes, i) => bytes === right[i]);
    this.#stored = same(stored, this.#present) ? this.#readable : piecesOf(segments, stored);
    this.#described = same(stored, described) ? this.#stored : piecesOf(segments, described);
    this.#virtual = new VirtualSegments(segments);
  }

  *virtualRanges(): Generator<VirtualRange> {
    for (let i = 0; i < this.#virtual.length; i++) {
      const segment = this.#virtual.segments[i]!;
      const length = this.#segments.described[segment]!;
      yield { address: this.#virtual.start(i), length, physical: this.#segments.physical(segment) };
    }
  }

  physicalRanges(): Generator<PhysicalRange> {
    return joined(this.#storedRanges(0));
  }

  /** Stored ranges, in address order, by place in the file that this descriptor has open. */
  fileRanges(descriptor: number): Generator<FileRange> {
    return this.#storedRanges(descriptor);
  }

  *#storedRanges(descriptor: number): Generator<FileRange> {
    const { starts, ends, segments } = this.#readable;
    for (let i = 0; i < starts.length; i++) {
      const segment = segments[i]!;
      const [start, end] = [starts[i]!, ends[i]!];
      const offset = Number(this.#segments.offset(segment)) + start - this.#segments.physical(segment)!;
      yield { start, end, descriptor, offset };
    }
  }

  readPhysical(address: number, length: number): DataView {
    const { starts, ends, segments } = this.#readable;
    const piece = pieceAt(this.#readable, address);
    if (piece < 0) throw this.#absent(address);
    const segment = segments[piece]!;
    const relative = address - this.#segments.physical(segment)!;
    if (address + length <= ends[piece]!) return this.#read(segment, relative, length, address);

    checkLength(address, length);
    const buffer = new Uint8Array(length);
    let done = 0;
    for (let i = piece; done < length; i++) {
      const at = address + done;
      if (i >= starts.length || starts[i]! > at) throw this.#absent(at);
      const part = Math.min(length - done, ends[i]! - at);
      const from = at - this.#segments.physical(segments[i]!)!;
      buffer.set(bytesOf(this.#read(segments[i]!, from, part, at)), done);
      done += part;
    }
    return new DataView(buffer.buffer);
  }

  /**
   * Address of physical memory that two segments have with different bytes; undefined: none was found in the first
   * {@link MAX_COMPARED} chunks that they share. Memory past the end of a truncated file is not compared.
   */
  contradiction(): number | undefined {
    let compared = 0;
    for (let segment = 0; segment < this.#segments.length; segment++) {
      const start = this.#segments.physical(segment);
      const bytes = this.#present[segment]!;
      for (let done = 0; start !== undefined && done < bytes; ) {
        if (compared === MAX_COMPARED) return undefined;
        const piece = pieceAt(this.#readable, start + done);
        const end = Math.min(start + bytes, this.#readable.ends[piece]!);
        const length = Math.min(end - start - done, CHUNK);
        if (this.#readable.segments[piece] === segment) {
          done = end - start;
          continue;
        }
        const [own, other] = [
          readOrNot(() => this.#read(segment, done, length, start + done)),
          readOrNot(() => this.readPhysical(start + done, length)),
        ];
        if (own && other && Buffer.compare(bytesOf(own), bytesOf(other)) !== 0) return start + done;
        done += length;
        compared++;
      }
    }
    return undefined;
  }

  /** See MemoryImage. */
  locate(address: number, length: number, window: ByteWindow): boolean {
    const piece = pieceAt(this.#readable, address);
    if (piece < 0 || address + length > this.#readable.ends[piece]!) return false;
    const segment = this.#readable.segments[piece]!;
    return this.#place(segment, address - this.#segments.physical(segment)!, length, window);
  }

  /** Undefined if no segment contains `address`. */
  readVirtual(address: bigint, length: number): DataView | undefined {
    const first = this.#readVirtualPart(address, length);
    if (first === undefined || first.byteLength === length) return first;
    checkLength(address, length);
    const joined = new Uint8Array(length);
    joined.set(bytesOf(first));
    for (let done = first.byteLength; done < length; ) {
      const at = address + BigInt(done);
      const part = this.#readVirtualPart(at, length - done);
      if (part === undefined) throw new ReadError('absent', at);
      joined.set(bytesOf(part), done);
      done += part.byteLength;
    }
    return new DataView(joined.buffer);
  }

  noteReads(): () => void {
    const outer = this.#noted;
    const noted = new Set<number>();
    this.#noted = noted;
    return () => {
      for (const chunk of noted) this.#chunks.discard(chunk);
      if (this.#noted === noted) this.#noted = outer;
    };
  }

  /** As many of the bytes as one segment contains; undefined if none contains the first. */
  #readVirtualPart(address: bigint, length: number): DataView | undefined {
    const index = this.#virtual.before(address);
    if (index < 0) return undefined;
    const segment = this.#virtual.segments[index]!;
    const relative = Number(address - this.#virtual.start(index));
    const part = Math.min(length, this.#segments.described[segment]! - relative);
    if (part <= 0) return undefined;
    if (relative + part > this.#segments.stored[segment]!) throw new ReadError('filtered', address);
    return this.#read(segment, relative, part, address);
  }

  /** Reads within one segment; `address` is for error messages only. */
  #read(segment: number, relative: number, length: number, address: number | bigint): DataView {
    const window = this.#found;
    if (this.#place(segment, relative, length, window)) {
      const from = window.view.byteOffset + window.base;
      return new DataView(window.view.buffer.slice(from, from + length));
    }
    // The bytes span two chunks, or a chunk that ends at a bad page and continues behind it.
    checkLength(address, length);
    const joined = new Uint8Array(length);
    const wanted = this.#segments.offset(segment) + BigInt(relative);
    if (this.#source.pread(joined, length, position(wanted)) < length) {
      throw this.#cut(segment, address);
    }
    return new DataView(joined.buffer);
  }

  #place(segment: number, relative: number, length: number, window: ByteWindow): boolean {
    // Above 2^31 a modulo operation costs more than everything else here.
    const number = Math.floor(relative / CHUNK);
    const into = relative - number * CHUNK;
    if (into + length > CHUNK) return false;
    const chunk = this.#firstChunk[segment]! + number;
    this.#noted?.add(chunk);
    window.view = this.#chunks.view(chunk, this.#readAhead);
    if (into + length > this.#chunks.length(chunk)) return false;
    window.base = offsetInLine(chunk) + into;
    return true;
  }

  #fill(target: Uint8Array, chunk: number, chunks: number): number {
    const segment = lastAtOrBelow(this.#firstChunk, chunk);
    const start = (chunk - this.#firstChunk[segment]!) * CHUNK;
    const length = Math.min(chunks * CHUNK, this.#segments.stored[segment]! - start);
    const wanted = this.#segments.offset(segment) + BigInt(start);
    return this.#source.pread(target, length, position(wanted));
  }

  #cut(segment: number, address: number | bigint): ReadError {
    const end = Number(this.#segments.offset(segment)) + this.#segments.stored[segment]!;
    const code = this.#source.size === Number.POSITIVE_INFINITY ? 'absent' : 'truncated';
    const cut = this.#source.cut === true || end > this.#source.size;
    return new ReadError(cut || code === 'absent' ? code : 'damaged', BigInt(address));
  }

  #absent(address: number): ReadError {
    const piece = pieceAt(this.#stored, address);
    if (piece >= 0) return this.#cut(this.#stored.segments[piece]!, address);
    const described = pieceAt(this.#described, address) >= 0;
    return new ReadError(described ? 'filtered' : 'absent', BigInt(address));
  }
}

/** A kdump’s kernel image, which is also in RAM, has some tens of MiB. */
const MAX_COMPARED = 2 ** 28 / CHUNK;

/** Cache keys of chunks: segments have consecutive key ranges and never share a cache line. */
function firstChunks({ name }: ByteSource, segments: SegmentTable): Float64Array {
  const firsts = new Float64Array(segments.length);
  let chunks = 0;
  for (let segment = 0; segment < segments.length; segment++) {
    firsts[segment] = chunks;
    chunks += Math.ceil(segments.stored[segment]! / (CHUNK * CHUNKS_PER_LINE)) * CHUNKS_PER_LINE;
  }
  if (Number.isSafeInteger(chunks)) return firsts;
  throw new KernelError('damaged', `${name}: malformed ELF header (segments of ${chunks * CHUNK} bytes)`);
}

function position(offset: bigint): number | bigint {
  return offset <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(offset) : offset;
}

/** Disjoint physical pieces in address order, and the segment to read each from. */
interface Pieces {
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  readonly segments: Uint32Array;
}

/** Physical memory of segments with the given sizes; overlaps belong to the segment that starts first. */
function piecesOf(segments: SegmentTable, sizes: Float64Array): Pieces {
  const holding = new Uint32Array(segments.length);
  const physical = new Float64Array(segments.length);
  let storedBytes = 0;
  for (let segment = 0; segment < segments.length; segment++) {
    const start = segments.physical(segment);
    if (start === undefined || sizes[segment] === 0) continue;
    physical[storedBytes] = start;
    holding[storedBytes++] = segment;
  }
  const starts = new Float64Array(storedBytes);
  const ends = new Float64Array(storedBytes);
  const serving = new Uint32Array(storedBytes);
  let count = 0;
  let end = 0;
  for (const index of ascending(numberKeys(physical, storedBytes))) {
    const segment = holding[index]!;
    const segmentEnd = physical[index]! + sizes[segment]!;
    if (segmentEnd <= end) continue;
    starts[count] = Math.max(physical[index]!, end);
    ends[count] = segmentEnd;
    serving[count] = segment;
    end = segmentEnd;
    count++;
  }
  return { starts: starts.subarray(0, count), ends: ends.subarray(0, count), segments: serving.subarray(0, count) };
}

function pieceAt({ starts, ends }: Pieces, address: number): number {
  const piece = lastAtOrBelow(starts, address);
  return piece >= 0 && address < ends[piece]! ? piece : -1;
}
