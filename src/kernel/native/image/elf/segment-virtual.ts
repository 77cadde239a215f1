import { highHalf, joinHalves, lowHalf } from '../../../halves.js';
import { ascending } from '../../ascending.js';
import type { SegmentTable } from './segment-table.js';

/** The segments that have a virtual address, in order of it. */
export class VirtualSegments {
  /** Numbers of segments in their table. */
  readonly segments: Uint32Array;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;

  constructor(table: SegmentTable) {
    const mapped = new Uint32Array(table.length);
    const high = new Uint32Array(table.length);
    const low = new Uint32Array(table.length);
    let count = 0;
    for (let segment = 0; segment < table.length; segment++) {
      const start = table.virtual(segment);
      if (start === undefined || table.described[segment] === 0) continue;
      high[count] = highHalf(start);
      low[count] = lowHalf(start);
      mapped[count++] = segment;
    }
    const order = ascending({ length: count, high: (i) => high[i]!, low: (i) => low[i]! });
    this.segments = order.map((index) => mapped[index]!);
    this.#high = order.map((index) => high[index]!);
    this.#low = order.map((index) => low[index]!);
  }

  get length(): number {
    return this.segments.length;
  }

  start(index: number): bigint {
    return joinHalves(this.#high[index]!, this.#low[index]!);
  }

  /** The last one that begins at or before an address, or -1. */
  before(address: bigint): number {
    const high = highHalf(address);
    const low = lowHalf(address);
    let from = 0;
    let to = this.segments.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const above = this.#high[middle]! - high || this.#low[middle]! - low;
      if (above <= 0) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  }
}
