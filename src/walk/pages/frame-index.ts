import { damaged } from '../../base/errors.js';
import { HALF, Pointer } from '../../kernel/pointer.js';

/**
 * Numbers page frames in the order of their first occurrence. It is a hash table in typed arrays: a map of
 * objects for a million pages would need ten times the memory and most of the time.
 */
export class FrameIndex {
  #frames = new Float64Array(0);
  /** Row in each slot of the table, plus 1; 0: empty. Their number is a power of two. */
  #slots = new Uint32Array(0);
  #shift = 32;
  #size = 0;

  /** Number of frames with a row. */
  get size(): number {
    return this.#size;
  }

  /** The frame of a row. */
  frame(row: number): number {
    return this.#frames[row]!;
  }

  /** The row of a frame; -1 if not found. */
  find(frame: number): number {
    if (this.#size === 0) return -1;
    const mask = this.#slots.length - 1;
    for (let slot = hash(frame) >>> this.#shift; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot]! - 1;
      if (row < 0 || this.#frames[row] === frame) return row;
    }
  }

  /** Returns the row of a frame, or appends a row if it has none. */
  add(frame: number): number {
    const known = this.find(frame);
    if (known >= 0) return known;
    if (this.#size === this.#frames.length) this.#grow();
    const row = this.#size++;
    this.#frames[row] = frame;
    this.#put(row);
    return row;
  }

  copy(): FrameIndex {
    const copy = new FrameIndex();
    copy.#frames = this.#frames.slice();
    copy.#slots = this.#slots.slice();
    copy.#shift = this.#shift;
    copy.#size = this.#size;
    return copy;
  }

  #grow(): void {
    const rows = grown(this.#frames.length);
    const frames = new Float64Array(rows);
    frames.set(this.#frames);
    this.#frames = frames;
    // Half of the slots stay empty.
    this.#slots = new Uint32Array(rows * 2);
    this.#shift = 32 - Math.log2(rows * 2);
    for (let row = 0; row < this.#size; row++) this.#put(row);
  }

  #put(row: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash(this.#frames[row]!) >>> this.#shift;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = row + 1;
  }
}

/** Number of rows that a table grows to; a power of two. */
export function grown(rows: number): number {
  return Math.max(16, rows * 2);
}

/** Multiplicative hashing (Knuth): its upper bits spread frames at a constant stride. */
function hash(frame: number): number {
  return Math.imul(frame ^ (frame / 0x1_0000_0000), 0x9e37_79b1) >>> 0;
}

/** Maximum number of distinct upper halves; 2^20 of them cover all memory. */
const MAX_UPPER_HALVES = 2 ** 21;

/**
 * Numbers addresses in the order in which they are added, as {@link FrameIndex} does for page frames. A
 * 64-bit address does not fit in a double, but only few upper halves occur: the key combines the number of
 * the upper half with the lower half.
 */
export class AddressIndex {
  #upperHalves = new FrameIndex();
  #keys = new FrameIndex();
  readonly #at = new Pointer();

  /** Number of addresses that have a row. */
  get size(): number {
    return this.#keys.size;
  }

  /** Returns the row of an address, or -1. */
  find(address: bigint): number {
    return this.findPointer(this.#at.set(address));
  }

  /** Like {@link find}, for loops over millions of addresses. */
  findPointer({ high, low }: Pointer): number {
    const upper = this.#upperHalves.find(high);
    return upper < 0 ? -1 : this.#keys.find(upper * HALF + low);
  }

  /**
   * Returns the row of an address; a new address gets a new last row.
   *
   * @throws {KernelError} `damaged` if the addresses are scattered more than in any kernel
   */
  add(address: bigint): number {
    return this.addPointer(this.#at.set(address));
  }

  /** Like {@link add}, for loops over millions of addresses. @throws as {@link add} */
  addPointer({ high, low }: Pointer): number {
    const upper = this.#upperHalves.add(high);
    if (upper >= MAX_UPPER_HALVES) throw damaged('addresses are scattered more than any kernel’s');
    return this.#keys.add(upper * HALF + low);
  }

  /** Adds the address in this row of another index; returns its row here. @throws as {@link add} */
  addFrom(other: AddressIndex, row: number): number {
    return this.addPointer(other.#load(row));
  }

  /** Returns the address of a row. */
  address(row: number): bigint {
    return this.#load(row).address;
  }

  copy(): AddressIndex {
    const copy = new AddressIndex();
    copy.#upperHalves = this.#upperHalves.copy();
    copy.#keys = this.#keys.copy();
    return copy;
  }

  /** Returns the address of a row; valid until the next call. */
  #load(row: number): Pointer {
    const key = this.#keys.frame(row);
    const at = this.#at;
    at.low = key % HALF;
    at.high = this.#upperHalves.frame((key - at.low) / HALF);
    return at;
  }
}
