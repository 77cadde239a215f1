import { bytesOf, textOf } from '../../../bytes.js';
import { ascending, numberKeys } from '../../symbols.js';
import type { ByteSource } from '../byte-source.js';
import { lastAtOrBelow } from '../image.js';
import { type Runs, readRuns } from './runs.js';

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

  close(): void {
    this.#stream.close();
  }

  /** Reads as much as one record contains. */
  #readPiece(piece: number, at: number, target: Uint8Array, done: number, limit: number): number {
    const { position, length } = this.#runs.locate(this.#pieces.runs[piece]!, at);
    const part = Math.min(limit, length, this.#end(piece) - at);
    return this.#stream.pread(target.subarray(done, done + part), part, position);
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
    const found = lastAtOrBelow(starts, at);
    if (found >= 0) this.#last = found;
    return found;
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
