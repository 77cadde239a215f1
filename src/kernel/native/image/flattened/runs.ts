import { KernelError } from '../../../../base/errors.js';
import { shellPath } from '../../../../base/shell.js';
import type { ByteSource } from '../byte-source.js';

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
export class Runs {
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
