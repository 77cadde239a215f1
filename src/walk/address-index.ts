import { damaged } from '../base/errors.js';
import { HALF, Pointer } from '../kernel/pointer.js';
import { FrameIndex } from './pages/frame-index.js';

/** Maximum number of distinct upper halves; 2^20 of them cover all memory. */
const MOST_UPPER_HALVES = 2 ** 21;

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
    if (upper >= MOST_UPPER_HALVES) throw damaged('addresses are scattered more than any kernel’s');
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
