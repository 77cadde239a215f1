import { KernelError } from '../base/errors/kernel.js';
import { HALF, Pointer } from '../kernel/pointer.js';
import { FrameIndex } from './pages/frame-index.js';

/** More upper halves than this could not be told apart below; 2^20 of them span all of memory. */
const MOST_UPPER_HALVES = 2 ** 21;

/**
 * Numbers addresses in the order in which they turn up, as {@link FrameIndex} does page frames. An
 * address does not fit into a double, but few upper halves occur: it is known by the number of its
 * upper half and by its lower half.
 */
export class AddressIndex {
  #upperHalves = new FrameIndex();
  #keys = new FrameIndex();
  readonly #at = new Pointer();

  /** How many addresses have a row. */
  get size(): number {
    return this.#keys.size;
  }

  /** The row of an address, or -1. */
  find(address: bigint): number {
    return this.findPointer(this.#at.set(address));
  }

  /** The same, for loops over millions. */
  findPointer({ high, low }: Pointer): number {
    const upper = this.#upperHalves.find(high);
    return upper < 0 ? -1 : this.#keys.find(upper * HALF + low);
  }

  /**
   * The row of an address; a new one, the last, if it has none.
   *
   * @throws {KernelError} `damaged` if addresses are scattered as no kernel's are
   */
  add(address: bigint): number {
    return this.addPointer(this.#at.set(address));
  }

  /** The same, for loops over millions. @throws as {@link add} */
  addPointer({ high, low }: Pointer): number {
    const upper = this.#upperHalves.add(high);
    if (upper >= MOST_UPPER_HALVES) {
      throw new KernelError('damaged', 'addresses are scattered as no kernel’s are');
    }
    return this.#keys.add(upper * HALF + low);
  }

  /** The row of the address that has this row in another index. @throws as {@link add} */
  addFrom(other: AddressIndex, row: number): number {
    return this.addPointer(other.#load(row));
  }

  /** The address of a row. */
  address(row: number): bigint {
    return this.#load(row).address;
  }

  copy(): AddressIndex {
    const copy = new AddressIndex();
    copy.#upperHalves = this.#upperHalves.copy();
    copy.#keys = this.#keys.copy();
    return copy;
  }

  /** The address of a row, until the next is asked for. */
  #load(row: number): Pointer {
    const key = this.#keys.frame(row);
    const at = this.#at;
    at.low = key % HALF;
    at.high = this.#upperHalves.frame((key - at.low) / HALF);
    return at;
  }
}
