import { highHalf, joinHalves, lowHalf } from '../../../pointer.js';
import { ascending } from '../../symbols.js';

/** Memory stored in a file as plain bytes: a PT_LOAD. */
export interface Segment {
  /** File offset of the first byte. /proc/kcore's exceed 2^53. */
  readonly offset: bigint;
  /** Virtual address of the first byte, or undefined if unknown. */
  readonly virtual: bigint | undefined;
  /** Physical address of the first byte, or undefined if unknown. */
  readonly physical: number | undefined;
  /** Number of bytes stored. */
  readonly stored: number;
  /** Number of bytes of memory described; those beyond `stored` were filtered out. */
  readonly described: number;
}

/** The segments of a file, in order, stored compactly: a million of them take no more memory than their headers. */
export class SegmentTable {
  length = 0;
  readonly stored: Float64Array;
  readonly described: Float64Array;
  readonly #offset: BigUint64Array;
  /** 0 if unknown. */
  readonly #virtual: BigUint64Array;
  /** NaN if unknown. */
  readonly #physical: Float64Array;

  /** @param limit maximum number of segments, not checked here */
  constructor(limit: number) {
    this.stored = new Float64Array(limit);
    this.described = new Float64Array(limit);
    this.#offset = new BigUint64Array(limit);
    this.#virtual = new BigUint64Array(limit);
    this.#physical = new Float64Array(limit);
  }

  add({ offset, virtual, physical, stored, described }: Segment): void {
    const index = this.length++;
    this.#offset[index] = offset;
    this.#virtual[index] = virtual ?? 0n;
    this.#physical[index] = physical ?? Number.NaN;
    this.stored[index] = stored;
    this.described[index] = described;
  }

  get hasVirtual(): boolean {
    return this.#virtual.some((address) => address !== 0n);
  }

  offset(index: number): bigint {
    return this.#offset[index]!;
  }

  virtual(index: number): bigint | undefined {
    return this.#virtual[index] || undefined;
  }

  physical(index: number): number | undefined {
    const physical = this.#physical[index]!;
    return Number.isNaN(physical) ? undefined : physical;
  }
}

/** The segments with a virtual address, in address order. */
export class VirtualSegments {
  /** Indices of segments in their table. */
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

  /** Returns the last segment that begins at or before an address, or -1. */
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
