import { KernelError } from '../../../../base/errors/kernel.js';
import { shellPath } from '../../../../base/shell-word.js';
import type { ByteSource } from '../byte-source.js';

/** struct makedumpfile_header fills a block of this size (MAX_SIZE_MDF_HEADER). */
const HEADER_BYTES = 4096;
/** struct makedumpfile_data_header: int64 offset, int64 buf_size. */
const RECORD_HEADER_BYTES = 16;
const LARGEST_OFFSET = 2 ** 52;
/** Bytes read at a time where records are small. */
const WINDOW = 65536;

/** Runs that an index may have. makedumpfile's records merge to a few; QEMU's of 16 KiB often don't. */
const MOST_RUNS = 1 << 23;
/** Every writer fills buffers of 4 KiB and more: a stream of crumbs must not fill memory either. */
const FEWEST_BYTES_A_RUN = 2048;
/** Runs of any length: headers are written in small pieces. */
const FREE_RUNS = 4096;
const MOST_RECORDS_A_RUN = 2 ** 32 - 1;

/**
 * The records of a flattened stream in the order written; those of equal size that follow each other,
 * in the stream and in the file that it stands for, are one run. Columns, since there can be millions.
 */
export class Runs {
  length = 0;
  /** Where in the file each run begins. */
  readonly offset: Float64Array;
  /** Where in the stream the bytes of its first record begin; after the last run, where one would. */
  readonly #position: Float64Array;
  /** Its records. */
  readonly #count: Uint32Array;
  /** Of the record that was added last: where it ends in the file, and its bytes. */
  #lastEnd = -1;
  #lastSize = 0;

  /** @param most a bound that the caller keeps; memory is taken as it is filled */
  constructor(most: number) {
    this.offset = new Float64Array(most);
    this.#position = new Float64Array(most + 1);
    this.#count = new Uint32Array(most);
  }

  /** A record of `size` bytes at `position` in the stream, directly behind the one before. */
  add(offset: number, position: number, size: number): void {
    const last = this.length - 1;
    const continues = this.#lastEnd === offset && this.#lastSize === size;
    if (continues && this.#count[last]! < MOST_RECORDS_A_RUN) {
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

  /** Bytes of each of its records. */
  size(run: number): number {
    const stretch = this.#position[run + 1]! - this.#position[run]!;
    return stretch / this.#count[run]! - RECORD_HEADER_BYTES;
  }

  /** Where in the file it ends. */
  end(run: number): number {
    return this.offset[run]! + this.#count[run]! * this.size(run);
  }

  /** Where in the stream a byte of the file lies that the run holds, and how many of its record follow. */
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
 * @returns the runs, and whether the stream ends without its mark
 * @throws {KernelError} `damaged`, or `unsupported-format` for more records than an index may hold
 */
export function readRuns(stream: ByteSource): { runs: Runs; cut: boolean } {
  const { name, size: end } = stream;
  const allowed = (bytes: number) => FREE_RUNS + Math.floor(bytes / FEWEST_BYTES_A_RUN);
  const runs = new Runs(Math.min(MOST_RUNS, allowed(end)) + 1);
  const headers = new Headers(stream);
  for (let position = HEADER_BYTES; ; ) {
    const header = headers.at(position);
    if (header === undefined) return { runs, cut: true };
    const { offset, size } = header;
    if (offset === -1) return { runs, cut: false };
    if (offset < 0 || size <= 0 || offset + size > LARGEST_OFFSET) {
      const what = `record of ${size} bytes for offset ${offset} at ${position}`;
      throw new KernelError('damaged', `${name}: malformed flattened stream (${what})`);
    }
    position += RECORD_HEADER_BYTES;
    const there = Math.min(size, end - position);
    if (there > 0) runs.add(offset, position, there);
    if (there < size) return { runs, cut: true };
    position += size;
    if (runs.length > MOST_RUNS) {
      const message = `${name}: flattened stream of more than ${MOST_RUNS} records`;
      const next = `Convert it: makedumpfile -R vmcore < ${shellPath(name)}`;
      throw new KernelError('unsupported-format', message, { next });
    }
    if (runs.length > allowed(position)) {
      const what = `${runs.length} scattered records in its first ${position} bytes`;
      throw new KernelError('damaged', `${name}: malformed flattened stream (${what})`);
    }
  }
}

/** Headers of records, of which those of small ones are read many at a time. */
class Headers {
  readonly #stream: ByteSource;
  readonly #view = new DataView(new ArrayBuffer(WINDOW));
  readonly #bytes = new Uint8Array(this.#view.buffer);
  #start = 0;
  #end = 0;

  constructor(stream: ByteSource) {
    this.#stream = stream;
  }

  /** The header at a position, undefined where the stream ends before. */
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
