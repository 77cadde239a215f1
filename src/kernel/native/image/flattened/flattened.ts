import { KernelError } from '../../../../base/errors.js';
import { shellPath } from '../../../../base/shell.js';
import { bytesOf, textOf } from '../../../bytes.js';
import { ascending, numberKeys } from '../../symbols.js';
import type { ByteSource, FilePlace } from '../byte-source.js';
import { lastAtOrBelow } from '../image.js';

/**
 * The flattened stream (`makedumpfile -F`, and every kdump-… format of QEMU): a header block, then
 * records of big-endian offset and size and the data, in writing order. Read in place: the records
 * are indexed once, and reads find them by offset.
 */
export function isFlattened(head: DataView): boolean {
  return head.byteLength >= 16 && textOf(bytesOf(head, 0, 16)) === 'makedumpfile';
}

/** A flattened stream presented as the file that it encodes. */
export class FlattenedSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly wrapping = 'flattened';
  /** The stream has no end mark: it was truncated, and missing data is not known to be zero. */
  readonly cut: boolean;
  readonly #stream: ByteSource;
  readonly #runs: Runs;
  readonly #pieces: Pieces;
  #last = 0;

  /** @throws {KernelError} `truncated`, `damaged` or `unsupported-format`. */
  constructor(stream: ByteSource) {
    this.name = stream.name;
    this.#stream = stream;
    const { runs, cut } = readRuns(stream);
    this.cut = cut;
    this.#runs = runs;
    this.#pieces = piecesOf(runs);
    const last = this.#pieces.runs.at(-1);
    this.size = last === undefined ? 0 : runs.end(last);
  }

  pread(target: Uint8Array, length: number, position: number | bigint): number {
    const start = Number(position);
    const wanted = Math.max(0, Math.min(length, this.size - start));
    let done = 0;
    while (done < wanted) {
      const at = start + done;
      const piece = this.#find(at);
      if (at < this.#end(piece)) {
        const part = this.#readPiece(piece, at, target, done, wanted - done);
        if (part === 0) return done;
        done += part;
        continue;
      }
      // Never written: a hole in the encoded file, so zeros.
      if (this.cut) return done;
      const next = Math.min(this.#pieces.starts[piece + 1] ?? this.size, start + wanted);
      target.fill(0, done, next - start);
      done = next - start;
    }
    return done;
  }

  placeOf(position: number): FilePlace | undefined {
    const piece = this.#find(position);
    if (position >= this.#end(piece)) return undefined;
    const record = this.#record(piece, position);
    const place = this.#stream.placeOf(record.position);
    if (!place) return undefined;
    const { descriptor, offset } = place;
    return { descriptor, offset, length: Math.min(place.length, record.length) };
  }

  close(): void {
    this.#stream.close();
  }

  /** Reads as much as one record contains. */
  #readPiece(piece: number, at: number, target: Uint8Array, done: number, limit: number): number {
    const { position, length } = this.#record(piece, at);
    const part = Math.min(limit, length);
    return this.#stream.pread(target.subarray(done, done + part), part, position);
  }

  /** Stream position of a file offset within a piece, and the bytes of both that follow in its record. */
  #record(piece: number, at: number): { position: number; length: number } {
    const { position, length } = this.#runs.locate(this.#pieces.runs[piece]!, at);
    return { position, length: Math.min(length, this.#end(piece) - at) };
  }

  /** End of a piece; 0 before the first one. */
  #end(piece: number): number {
    const { starts, runs } = this.#pieces;
    if (piece < 0) return 0;
    return Math.min(this.#runs.end(runs[piece]!), starts[piece + 1] ?? this.size);
  }

  /** Returns the last piece that starts at or before `at`, or -1. */
  #find(at: number): number {
    const { starts } = this.#pieces;
    const last = this.#last;
    if (starts[last]! <= at && at < (starts[last + 1] ?? this.size)) return last;
    const index = lastAtOrBelow(starts, at);
    if (index >= 0) this.#last = index;
    return index;
  }
}

/**
 * The visible run at each file offset: disjoint pieces in file order. A piece ends where its run
 * ends or the next piece begins.
 */
interface Pieces {
  readonly starts: Float64Array;
  readonly runs: Uint32Array;
}

/**
 * Resolves overlapping runs, of which later ones replace earlier ones (headers are rewritten at the
 * end): each piece belongs to the latest run at its offset.
 */
function piecesOf(runs: Runs): Pieces {
  // Each run begins one piece, and ends at most one other's cover.
  const starts = new Float64Array(2 * runs.length);
  const owners = new Uint32Array(2 * runs.length);
  const here = new Latest();
  let count = 0;
  let at = 0;
  const advance = (to: number) => {
    for (let run = here.top; run !== undefined && at < to; run = here.top) {
      const end = runs.end(run);
      if (end > at) {
        if (owners[count - 1] !== run) {
          starts[count] = at;
          owners[count++] = run;
        }
        at = Math.min(end, to);
      }
      if (end <= at) here.pop();
    }
    at = to;
  };
  for (const run of ascending(numberKeys(runs.offset, runs.length))) {
    advance(runs.offset[run]!);
    here.push(run);
  }
  advance(Number.POSITIVE_INFINITY);
  return { starts: starts.subarray(0, count), runs: owners.subarray(0, count) };
}

/** A heap of numbers, the greatest on top. */
class Latest {
  readonly #heap: number[] = [];

  get top(): number | undefined {
    return this.#heap[0];
  }

  push(run: number): void {
    const heap = this.#heap;
    let at = heap.push(run) - 1;
    for (let above = (at - 1) >> 1; at > 0 && heap[above]! < run; above = (at - 1) >> 1) {
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = run;
  }

  pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below + 1 < heap.length && heap[below + 1]! > heap[below]!) below++;
      if (below >= heap.length || heap[below]! <= last) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
  }
}

/** Size of the block that contains struct makedumpfile_header (MAX_SIZE_MDF_HEADER). */
const HEADER_BYTES = 4096;
/** struct makedumpfile_data_header: int64 offset, int64 buf_size. */
const RECORD_HEADER_BYTES = 16;
const LARGEST_OFFSET = 2 ** 52;
/** Bytes to read at a time if records are small. */
const WINDOW = 65536;

/** Maximum number of runs in an index. makedumpfile's records merge into a few runs; QEMU's of 16 KiB often do not. */
const MAX_RUNS = 1 << 23;
/** Every writer uses buffers of at least 4 KiB: a stream of tiny records must not exhaust memory. */
const MIN_BYTES_PER_RUN = 2048;
/** Number of runs exempt from that check: headers are written in small pieces. */
const FREE_RUNS = 4096;
const MAX_RECORDS_PER_RUN = 2 ** 32 - 1;

/**
 * The records of a flattened stream in stream order; records of equal size that are consecutive both in the
 * stream and in the reassembled file form one run. Stored as columns, since there can be millions.
 */
class Runs {
  length = 0;
  /** File offset of each run. */
  readonly offset: Float64Array;
  /** Stream offset of the data of each run's first record; one extra entry past the last run. */
  readonly #position: Float64Array;
  /** Number of records in each run. */
  readonly #count: Uint32Array;
  /** The record that was added last: its end in the file, and its size. */
  #lastEnd = -1;
  #lastSize = 0;

  /** @param limit maximum number of runs, not checked here; memory grows as needed */
  constructor(limit: number) {
    this.offset = new Float64Array(limit);
    this.#position = new Float64Array(limit + 1);
    this.#count = new Uint32Array(limit);
  }

  /** Adds a record of `size` bytes at `position` in the stream, directly after the previous one. */
  add(offset: number, position: number, size: number): void {
    const last = this.length - 1;
    const continues = this.#lastEnd === offset && this.#lastSize === size;
    if (continues && this.#count[last]! < MAX_RECORDS_PER_RUN) {
      this.#count[last]!++;
    } else {
      this.offset[this.length] = offset;
      this.#position[this.length] = position;
      this.#count[this.length] = 1;
      this.length++;
    }
    this.#position[this.length] = position + size + RECORD_HEADER_BYTES;
    this.#lastEnd = offset + size;
    this.#lastSize = size;
  }

  /** Size in bytes of each record of a run. */
  size(run: number): number {
    const stretch = this.#position[run + 1]! - this.#position[run]!;
    return stretch / this.#count[run]! - RECORD_HEADER_BYTES;
  }

  end(run: number): number {
    return this.offset[run]! + this.#count[run]! * this.size(run);
  }

  /** Returns the stream position of a file offset within the run, and the bytes that remain in its record. */
  locate(run: number, at: number): { position: number; length: number } {
    const size = this.size(run);
    const relative = at - this.offset[run]!;
    const within = relative % size;
    const record = (relative - within) / size;
    const position = this.#position[run]! + record * (size + RECORD_HEADER_BYTES) + within;
    return { position, length: size - within };
  }
}

/**
 * Reads the headers of all records.
 *
 * @returns the runs, and whether the stream lacks its end mark
 * @throws {KernelError} `damaged`, or `unsupported-format` if there are too many records for an index
 */
export function readRuns(stream: ByteSource): { runs: Runs; cut: boolean } {
  const { name, size: end } = stream;
  const allowed = (bytes: number) => FREE_RUNS + Math.floor(bytes / MIN_BYTES_PER_RUN);
  const runs = new Runs(Math.min(MAX_RUNS, allowed(end)) + 1);
  const headers = new Headers(stream);
  for (let position = HEADER_BYTES; ; ) {
    const header = headers.at(position);
    if (header === undefined) return { runs, cut: true };
    const { offset, size } = header;
    if (offset === -1) return { runs, cut: false };
    if (offset < 0 || size <= 0 || offset + size > LARGEST_OFFSET) {
      const problem = `record of ${size} bytes for offset ${offset} at ${position}`;
      throw new KernelError('damaged', `${name}: malformed flattened stream (${problem})`);
    }
    position += RECORD_HEADER_BYTES;
    const available = Math.min(size, end - position);
    if (available > 0) runs.add(offset, position, available);
    if (available < size) return { runs, cut: true };
    position += size;
    if (runs.length > MAX_RUNS) {
      const message = `${name}: flattened stream of more than ${MAX_RUNS} records`;
      const next = `Convert it: makedumpfile -R vmcore < ${shellPath(name)}`;
      throw new KernelError('unsupported-format', message, { next });
    }
    if (runs.length > allowed(position)) {
      const problem = `${runs.length} scattered records in its first ${position} bytes`;
      throw new KernelError('damaged', `${name}: malformed flattened stream (${problem})`);
    }
  }
}

/** Record headers; those of small records are read many at a time. */
class Headers {
  readonly #stream: ByteSource;
  readonly #view = new DataView(new ArrayBuffer(WINDOW));
  readonly #bytes = new Uint8Array(this.#view.buffer);
  #start = 0;
  #end = 0;

  constructor(stream: ByteSource) {
    this.#stream = stream;
  }

  /** Returns the header at a position; undefined if the stream ends before. */
  at(position: number): { offset: number; size: number } | undefined {
    if (position + RECORD_HEADER_BYTES > this.#end && !this.#read(position)) return undefined;
    const at = position - this.#start;
    return { offset: this.#word(at), size: this.#word(at + 8) };
  }

  #read(position: number): boolean {
    const isNear = position - this.#end < WINDOW / 16;
    const wanted = isNear ? WINDOW : RECORD_HEADER_BYTES;
    this.#start = position;
    this.#end = position + this.#stream.pread(this.#bytes, wanted, position);
    return this.#end - position >= RECORD_HEADER_BYTES;
  }

  /** A signed 64-bit number, big-endian. */
  #word(at: number): number {
    return this.#view.getInt32(at) * 2 ** 32 + this.#view.getUint32(at + 4);
  }
}
