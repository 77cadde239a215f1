import { type Allocations, PlaceTable } from './allocations.js';
import type { SampleSet } from './sample-set.js';

/** MAX_PAGE_ORDER is at most 13 (arm64 with 64 KiB pages): the buddy allocator returns no larger block. */
export const MAX_ORDER = 14;

/** Factor in a table value: number * ORDERS + order. */
const ORDERS = 64;

/**
 * Held page frames and their allocations: as blocks of 2^order frames that begin at a multiple of their
 * length, as in the buddy allocator. If a part of a block is freed, the remainder is several blocks.
 */
export class FrameBlocks {
  /** Blocks dropped because there was no room for their remainder. */
  dropped = 0;
  #blocks = new PlaceTable();
  /** Number of blocks of each order. */
  readonly #live = new Int32Array(MAX_ORDER + 1);
  readonly #allocations: Allocations;
  readonly #max: number;

  constructor(allocations: Allocations, max: number) {
    this.#allocations = allocations;
    this.#max = max;
  }

  get size(): number {
    return this.#blocks.size;
  }

  /** No part of it may be held yet. A block without followed frames is not stored. */
  hold(start: number, order: number, number: number, set: SampleSet): void {
    const frames = set.framesOf(start, order);
    if (frames === 0) return;
    if (this.#blocks.size >= this.#max) {
      this.dropped++;
      return;
    }
    this.#blocks.set(start, number * ORDERS + order);
    this.#live[order]!++;
    this.#allocations.hold(number, frames);
  }

  /**
   * Releases a block, the blocks within it, or a part of a larger one.
   *
   * @returns number of frames that were held and are followed
   */
  release(start: number, order: number, set: SampleSet): number {
    const wanted = set.framesOf(start, order);
    if (wanted === 0) return 0;
    for (let above = order; above <= MAX_ORDER; above++) {
      const value = this.#blockOf(start, above);
      if (value < 0) continue;
      this.#cut(start, order, above, value, set);
      return wanted;
    }
    if (order <= set.chunkOrder || set.oneIn === 1) return this.#releaseWithin(start, order, set);
    let released = 0;
    const { chunkOrder } = set;
    const first = set.chunkOf(start);
    for (let chunk = first; chunk < first + 2 ** (order - chunkOrder); chunk++)
      if (set.hasChunk(chunk)) released += this.#releaseChunk(chunk, order, set);
    return released;
  }

  /** Whether a frame belongs to a held block. */
  isHeld(frame: number): boolean {
    for (let order = 0; order <= MAX_ORDER; order++) if (this.#blockOf(frame, order) >= 0) return true;
    return false;
  }

  /** Keeps only the parts of blocks that are still followed. */
  narrow(before: SampleSet, after: SampleSet): void {
    const all = this.#blocks;
    this.#blocks = new PlaceTable();
    this.#live.fill(0);
    // The new amounts are added before the old ones are released: an allocation that holds nothing would be
    // removed.
    all.each((start, value) => {
      this.hold(start, value % ORDERS, Math.floor(value / ORDERS), after);
    });
    all.each((start, value) => {
      this.#release(Math.floor(value / ORDERS), before.framesOf(start, value % ORDERS));
    });
  }

  each(visit: (start: number, order: number, number: number) => void): void {
    this.#blocks.each((start, value) => {
      visit(start, value % ORDERS, Math.floor(value / ORDERS));
    });
  }

  /** The value of the block of exactly this order that contains a frame; -1 if there is none. */
  #blockOf(frame: number, order: number): number {
    if (this.#live[order] === 0) return -1;
    const value = this.#blocks.get(frame - (frame % 2 ** order));
    return value >= 0 && value % ORDERS === order ? value : -1;
  }

  /** Releases a chunk of the sample, in all blocks below an order that contain it. */
  #releaseChunk(chunk: number, below: number, set: SampleSet): number {
    const start = chunk * set.chunkLength;
    for (let order = below - 1; order > set.chunkOrder; order--) {
      const value = this.#blockOf(start, order);
      if (value >= 0) return this.#remove(start - (start % 2 ** order), value, set);
    }
    return this.#releaseWithin(start, set.chunkOrder, set);
  }

  /** Releases the blocks that begin within this range. */
  #releaseWithin(start: number, order: number, set: SampleSet): number {
    let smallest = 0;
    while (smallest <= order && this.#live[smallest] === 0) smallest++;
    if (smallest > order) return 0;
    let released = 0;
    for (let frame = start; frame < start + 2 ** order; ) {
      const value = this.#blocks.get(frame);
      if (value >= 0) released += this.#remove(frame, value, set);
      frame += 2 ** (value >= 0 ? Math.max(smallest, value % ORDERS) : smallest);
    }
    return released;
  }

  #remove(start: number, value: number, set: SampleSet): number {
    const order = value % ORDERS;
    const frames = set.framesOf(start, order);
    this.#forget(start, order);
    this.#release(Math.floor(value / ORDERS), frames);
    return frames;
  }

  /** Removes a part of a block. The remainder stays held, in halves. */
  #cut(start: number, order: number, from: number, value: number, set: SampleSet): void {
    const number = Math.floor(value / ORDERS);
    let rest = start - (start % 2 ** from);
    const before = set.framesOf(rest, from);
    this.#forget(rest, from);
    for (let half = from - 1; half >= order; half--) {
      const middle = rest + 2 ** half;
      this.hold(start < middle ? middle : rest, half, number, set);
      if (start >= middle) rest = middle;
    }
    this.#release(number, before);
  }

  #forget(start: number, order: number): void {
    this.#blocks.delete(start);
    this.#live[order]!--;
  }

  #release(number: number, frames: number): void {
    if (this.#allocations.hold(number, -frames) === 0) this.#allocations.remove(number);
  }
}
