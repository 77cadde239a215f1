import { KernelError } from '../../error.js';
import { type ByteSource, textAt } from './source.js';

/**
 * The flattened stream (`makedumpfile -F`, and every kdump-… of QEMU): a header block, then records of
 * a big-endian offset and size and that many bytes, in the order in which they were written. Read in
 * place: the records are indexed once, and a read finds them by offset.
 */
export function isFlattened(head: DataView): boolean {
  return head.byteLength >= 16 && textAt(head, 0, 16) === 'makedumpfile';
}

/** struct makedumpfile_header fills a block of this size (MAX_SIZE_MDF_HEADER). */
const HEADER_BYTES = 4096;
/** struct makedumpfile_data_header: int64 offset, int64 buf_size. */
const RECORD_HEADER_BYTES = 16;
/** Records that an index may hold, of 32 bytes each. makedumpfile's merge to a few. */
const MOST_RECORDS = 1 << 23;
const LARGEST_OFFSET = 2 ** 52;

/** A flattened stream as the file that it stands for. */
export class FlattenedSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly wrapping = 'flattened';
  /** The stream has no end mark: it was cut, and what is missing in it is not known to be zero. */
  readonly cut: boolean;
  readonly #stream: ByteSource;
  readonly #index: Index;
  #last = 0;

  /** @throws {KernelError} `truncated` or `damaged`. */
  constructor(stream: ByteSource) {
    this.name = stream.name;
    this.#stream = stream;
    const { runs, cut } = readRecords(stream);
    this.cut = cut;
    this.#index = buildIndex(runs);
    const { ends } = this.#index;
    this.size = ends[ends.length - 1] ?? 0;
  }

  pread(target: Uint8Array, length: number, position: number | bigint): number {
    const start = Number(position);
    const wanted = Math.max(0, Math.min(length, this.size - start));
    const { starts, ends } = this.#index;
    let done = 0;
    while (done < wanted) {
      const at = start + done;
      const piece = this.#find(at);
      if (piece >= 0 && at < ends[piece]!) {
        const part = this.#readPiece(piece, at, target, done, wanted - done);
        if (part === 0) return done;
        done += part;
        continue;
      }
      // Nothing was written here: a hole of the file that the stream stands for, so zeros.
      if (this.cut) return done;
      const next = Math.min(starts[piece + 1] ?? this.size, start + wanted);
      target.fill(0, done, next - start);
      done = next - start;
    }
    return done;
  }

  close(): void {
    this.#stream.close();
  }

  /** Reads as much as one record holds. */
  #readPiece(piece: number, at: number, target: Uint8Array, done: number, most: number): number {
    const { ends, runs, owner } = this.#index;
    const run = owner[piece]!;
    const size = runs.size[run]!;
    const relative = at - runs.offset[run]!;
    const within = relative % size;
    const record = (relative - within) / size;
    const position = runs.position[run]! + record * (size + RECORD_HEADER_BYTES) + within;
    const length = Math.min(most, size - within, ends[piece]! - at);
    return this.#stream.pread(target.subarray(done, done + length), length, position);
  }

  /** The last piece that starts at or before `at`, or -1. */
  #find(at: number): number {
    const { starts, ends } = this.#index;
    const last = this.#last;
    if (last < starts.length && starts[last]! <= at && at < ends[last]!) return last;
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! <= at) low = middle + 1;
      else high = middle;
    }
    if (low > 0) this.#last = low - 1;
    return low - 1;
  }
}

/** Records in the order written; `count` equal ones that follow each other are one run. */
interface Runs {
  readonly offset: Float64Array;
  readonly position: Float64Array;
  readonly size: Float64Array;
  readonly count: Float64Array;
}

function readRecords(stream: ByteSource): { runs: Runs; cut: boolean } {
  const runs = new RunList();
  const header = new Uint8Array(RECORD_HEADER_BYTES);
  const view = new DataView(header.buffer);
  let position = HEADER_BYTES;
  for (;;) {
    const read = stream.pread(header, RECORD_HEADER_BYTES, position);
    if (read < RECORD_HEADER_BYTES) return { runs: runs.done(), cut: true };
    const offset = view.getInt32(0) * 2 ** 32 + view.getUint32(4);
    const size = view.getInt32(8) * 2 ** 32 + view.getUint32(12);
    if (offset === -1) return { runs: runs.done(), cut: false };
    if (offset < 0 || size <= 0 || offset + size > LARGEST_OFFSET) {
      const what = `a record of ${size} bytes for offset ${offset} at ${position}`;
      throw new KernelError(
        'damaged',
        `${stream.name} is damaged: its flattened stream has ${what}`,
      );
    }
    position += RECORD_HEADER_BYTES;
    const there = Math.min(size, stream.size - position);
    if (there > 0) runs.add(offset, position, there);
    if (there < size) return { runs: runs.done(), cut: true };
    if (runs.length > MOST_RECORDS) {
      const message = `${stream.name} is a flattened stream of more than ${MOST_RECORDS} records`;
      throw new KernelError('unsupported-format', message);
    }
    position += size;
  }
}

class RunList {
  length = 0;
  #offset = new Float64Array(1024);
  #position = new Float64Array(1024);
  #size = new Float64Array(1024);
  #count = new Float64Array(1024);

  add(offset: number, position: number, size: number): void {
    const last = this.length - 1;
    if (last >= 0 && this.#size[last] === size) {
      const count = this.#count[last]!;
      if (
        offset === this.#offset[last]! + count * size &&
        position === this.#position[last]! + count * (size + RECORD_HEADER_BYTES)
      ) {
        this.#count[last] = count + 1;
        return;
      }
    }
    if (this.length === this.#offset.length) {
      this.#offset = doubled(this.#offset);
      this.#position = doubled(this.#position);
      this.#size = doubled(this.#size);
      this.#count = doubled(this.#count);
    }
    this.#offset[this.length] = offset;
    this.#position[this.length] = position;
    this.#size[this.length] = size;
    this.#count[this.length] = 1;
    this.length++;
  }

  done(): Runs {
    return {
      offset: this.#offset.slice(0, this.length),
      position: this.#position.slice(0, this.length),
      size: this.#size.slice(0, this.length),
      count: this.#count.slice(0, this.length),
    };
  }
}

function doubled(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}

/** Disjoint pieces in order of offset, and the run whose bytes each one shows. */
interface Index {
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  readonly owner: Int32Array;
  readonly runs: Runs;
}

function buildIndex(runs: Runs): Index {
  const { offset, size, count } = runs;
  const owner = new Int32Array(offset.length).map((_, i) => i);
  owner.sort((a, b) => offset[a]! - offset[b]! || a - b);
  const starts = new Float64Array(owner.length);
  const ends = new Float64Array(owner.length);
  let overlap = false;
  for (let i = 0; i < owner.length; i++) {
    const run = owner[i]!;
    starts[i] = offset[run]!;
    ends[i] = offset[run]! + size[run]! * count[run]!;
    if (i > 0 && starts[i]! < ends[i - 1]!) overlap = true;
  }
  return overlap ? paint(runs) : { starts, ends, owner, runs };
}

/**
 * The index where records overlap (headers are written again at the end): what was written last shows.
 * From the last run back, each paints the elementary pieces that nobody has painted yet; `next` leads
 * past painted ones.
 */
function paint(runs: Runs): Index {
  const { offset, size, count } = runs;
  const total = offset.length;
  const bounds = new Float64Array(total * 2);
  for (let i = 0; i < total; i++) {
    bounds[2 * i] = offset[i]!;
    bounds[2 * i + 1] = offset[i]! + size[i]! * count[i]!;
  }
  bounds.sort();
  const painted = new Int32Array(bounds.length).fill(-1);
  const next = new Int32Array(bounds.length + 1).map((_, i) => i);
  for (let run = total - 1; run >= 0; run--) {
    const end = offset[run]! + size[run]! * count[run]!;
    let i = follow(next, lowerBound(bounds, offset[run]!));
    while (i < bounds.length && bounds[i]! < end) {
      painted[i] = run;
      next[i] = i + 1;
      i = follow(next, i);
    }
  }
  const kept = [...painted.keys()].filter((i) => painted[i]! >= 0 && bounds[i + 1]! > bounds[i]!);
  return {
    starts: Float64Array.from(kept, (i) => bounds[i]!),
    ends: Float64Array.from(kept, (i) => bounds[i + 1]!),
    owner: Int32Array.from(kept, (i) => painted[i]!),
    runs,
  };
}

function follow(next: Int32Array, from: number): number {
  let end = from;
  while (next[end] !== end) end = next[end]!;
  for (let i = from; i !== end; ) {
    const after = next[i]!;
    next[i] = end;
    i = after;
  }
  return end;
}

function lowerBound(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
