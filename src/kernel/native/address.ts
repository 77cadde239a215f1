// Virtual addresses are 64-bit bigints at the interface. Inside, arithmetic is done on their 32-bit
// halves: storing a bigint into a typed array and loading the halves makes no garbage.
const wide = new BigUint64Array(1);
const halves = new Uint32Array(wide.buffer);
wide[0] = 1n;
const LOW = halves[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

/** Upper 32 bits of an address, taken modulo 2^64. */
export function highHalf(address: bigint): number {
  wide[0] = address;
  return halves[HIGH]!;
}

/** Lower 32 bits of an address. */
export function lowHalf(address: bigint): number {
  wide[0] = address;
  return halves[LOW]!;
}

/** An address from its halves. */
export function joinHalves(high: number, low: number): bigint {
  halves[HIGH] = high;
  halves[LOW] = low;
  return wide[0]!;
}

/**
 * Virtual addresses that lie in physical memory in one piece, such as the direct map. Lengths and
 * physical addresses are bytes, below 2^53.
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

  /** Bytes from the start to an address in halves: exact while inside, else negative or too large. */
  offset(high: number, low: number): number {
    return (high - this.#high) * 0x1_0000_0000 + (low - this.#low);
  }
}
