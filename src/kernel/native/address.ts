import { highHalf, lowHalf } from '../pointer.js';

/**
 * Virtual addresses that map physical memory linearly, such as the direct map. Lengths and physical
 * addresses are bytes, below 2^53.
 */
export class LinearRange {
  readonly address: bigint;
  readonly length: number;
  readonly physical: number;
  readonly #high: number;
  readonly #low: number;

  constructor(address: bigint, length: number, physical: number) {
    this.address = address;
    this.length = length;
    this.physical = physical;
    this.#high = highHalf(address);
    this.#low = lowHalf(address);
  }

  /** Bytes from the start to an address in halves: exact inside the range, else negative or too large. */
  offset(high: number, low: number): number {
    return (high - this.#high) * 0x1_0000_0000 + (low - this.#low);
  }
}
