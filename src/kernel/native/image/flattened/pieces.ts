import { ascending, numberKeys } from '../../ascending.js';
import type { Runs } from './runs.js';

/**
 * Which run shows where: disjoint pieces in order of their places in the file. A piece ends where its
 * run ends or the next piece begins.
 */
export interface Pieces {
  readonly starts: Float64Array;
  readonly runs: Uint32Array;
}

/**
 * The pieces of runs of which the later covers the earlier (headers are written again at the end):
 * from the first place to the last, always the latest of the runs that lie there.
 */
export function piecesOf(runs: Runs): Pieces {
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
