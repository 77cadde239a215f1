import { KernelError } from '../kernel/error.js';
import { highHalf, joinHalves, lowHalf } from '../kernel/halves.js';
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

  /** How many addresses have a row. */
  get size(): number {
    return this.#keys.size;
  }

  /** The row of an address, or -1. */
  find(address: bigint): number {
    return this.findHalves(highHalf(address), lowHalf(address));
  }

  /** The same, for loops over millions. */
  findHalves(high: number, low: number): number {
    const upper = this.#upperHalves.find(high);
    return upper < 0 ? -1 : this.#keys.find(keyOf(upper, low));
  }

  /**
   * The row of an address; a new one, the last, if it has none.
   *
   * @throws {KernelError} `damaged` if addresses are scattered as no kernel's are
   */
  add(address: bigint): number {
    return this.addHalves(highHalf(address), lowHalf(address));
  }

  /** The row of the address that has this row in another index. @throws as {@link add} */
  addFrom(other: AddressIndex, row: number): number {
    const key = other.#keys.frame(row);
    const lower = key % 0x1_0000_0000;
    const upper = (key - lower) / 0x1_0000_0000;
    return this.addHalves(other.#upperHalves.frame(upper), lower);
  }

  /** The address of a row. */
  address(row: number): bigint {
    const key = this.#keys.frame(row);
    const lower = key % 0x1_0000_0000;
    return joinHalves(this.#upperHalves.frame((key - lower) / 0x1_0000_0000), lower);
  }

  copy(): AddressIndex {
    const copy = new AddressIndex();
    copy.#upperHalves = this.#upperHalves.copy();
    copy.#keys = this.#keys.copy();
    return copy;
  }

  /** The same, for loops over millions. @throws as {@link add} */
  addHalves(high: number, low: number): number {
    const upper = this.#upperHalves.add(high);
    if (upper >= MOST_UPPER_HALVES) {
      throw new KernelError('damaged', 'addresses are scattered as no kernel’s are');
    }
    return this.#keys.add(keyOf(upper, low));
  }
}

function keyOf(upper: number, low: number): number {
  return upper * 0x1_0000_0000 + low;
}
