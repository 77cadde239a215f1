import type { FrameRange } from './ram.js';

/**
 * Numbers the page frames of a machine without gaps, so that what is known of each fits into one
 * array: holes between ranges of RAM may be a thousand times as large as it.
 */
export class FrameMap {
  /** How many there are. */
  readonly size: number;
  readonly ranges: readonly FrameRange[];
  /** Of each range: how many frames are before it. */
  readonly #before: readonly number[];

  /** @param ranges in order, none within another */
  constructor(ranges: readonly FrameRange[]) {
    this.ranges = ranges;
    const before: number[] = [];
    let size = 0;
    for (const { start, end } of ranges) {
      before.push(size);
      size += end - start;
    }
    this.#before = before;
    this.size = size;
  }

  /** The place of a frame in such an array; -1 if it is no RAM. */
  indexOf(frame: number): number {
    let [low, high] = [0, this.ranges.length - 1];
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const { start, end } = this.ranges[middle]!;
      if (frame < start) high = middle - 1;
      else if (frame >= end) low = middle + 1;
      else return this.#before[middle]! + frame - start;
    }
    return -1;
  }

  /** The frame at a place. */
  frameAt(index: number): number {
    let [low, high] = [0, this.ranges.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#before[middle]! <= index) low = middle;
      else high = middle - 1;
    }
    return this.ranges[low]!.start + index - this.#before[low]!;
  }
}
