/** A stretch of memory that lies in a file as plain bytes: a PT_LOAD. */
export interface Segment {
  /** Where its first byte lies in the file. /proc/kcore's go beyond 2^53. */
  readonly offset: bigint;
  /** Virtual address of the first byte, or undefined if the file doesn't say. */
  readonly virtual: bigint | undefined;
  /** Physical address of the first byte, or undefined if the file doesn't say. */
  readonly physical: number | undefined;
  /** Bytes that are stored. */
  readonly stored: number;
  /** Bytes of memory described; those behind `stored` were left out by a filter. */
  readonly described: number;
}

/** The segments of a file, in its order: a million of them must not take more than its headers do. */
export class SegmentTable {
  length = 0;
  readonly stored: Float64Array;
  readonly described: Float64Array;
  readonly #offset: BigUint64Array;
  /** 0 if unknown. */
  readonly #virtual: BigUint64Array;
  /** NaN if unknown. */
  readonly #physical: Float64Array;

  /** @param most a bound that the caller keeps */
  constructor(most: number) {
    this.stored = new Float64Array(most);
    this.described = new Float64Array(most);
    this.#offset = new BigUint64Array(most);
    this.#virtual = new BigUint64Array(most);
    this.#physical = new Float64Array(most);
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
