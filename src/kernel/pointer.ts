/** Number of values of a 32-bit half. */
export const HALF = 0x1_0000_0000;

/**
 * A mutable 64-bit address for loops over hundreds of thousands of objects, where a bigint per step
 * would be garbage. Only this class splits addresses into halves and handles the carry.
 */
export class Pointer {
  // Never small integers, so that V8 keeps both as doubles from the start.
  /** Upper 32 bits. */
  high = 0xffff_ffff;
  /** Lower 32 bits. */
  low = 0xffff_ffff;

  constructor(address = 0n) {
    this.set(address);
  }

  get address(): bigint {
    return joinHalves(this.high, this.low);
  }

  get isNull(): boolean {
    return this.low === 0 && this.high === 0;
  }

  set(address: bigint): this {
    this.high = highHalf(address);
    this.low = lowHalf(address);
    return this;
  }

  /** Whether both pointers hold the same address. */
  equals(other: Pointer): boolean {
    return this.low === other.low && this.high === other.high;
  }

  load(view: DataView, offset: number): this {
    this.low = view.getUint32(offset, true);
    this.high = view.getUint32(offset + 4, true);
    return this;
  }

  /** Clears flag bits that the kernel stores in a pointer; below 2^31. */
  clearLowBits(flags: number): this {
    this.low = (this.low & ~flags) >>> 0;
    return this;
  }

  /**
   * Sets this pointer to another one (possibly itself) plus an offset; wraps at 2^64 like the
   * kernel's own arithmetic.
   *
   * @param bytes 0 to 2^53
   */
  after(other: Pointer, bytes: number): this {
    const low = other.low + bytes;
    const { high } = other;
    this.low = low < HALF ? low : low % HALF;
    this.high = low < HALF ? high : (high + Math.floor(low / HALF)) % HALF;
    return this;
  }

  /** Distance in bytes from another pointer to this one: exact up to 2^53, only large enough beyond that. */
  minus(other: Pointer): number {
    return (this.high - other.high) * HALF + (this.low - other.low);
  }
}

// Virtual addresses are 64-bit bigints at the interface. Inner loops compute with their 32-bit
// halves: storing a bigint into a typed array and loading the halves allocates nothing.
const wide = new BigUint64Array(1);
const halves = new Uint32Array(wide.buffer);
wide[0] = 1n;
const LOW = halves[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

/** Upper 32 bits of an address modulo 2^64. */
export function highHalf(address: bigint): number {
  wide[0] = address;
  return halves[HIGH]!;
}

/** Lower 32 bits of an address modulo 2^64. */
export function lowHalf(address: bigint): number {
  wide[0] = address;
  return halves[LOW]!;
}

export function joinHalves(high: number, low: number): bigint {
  halves[HIGH] = high;
  halves[LOW] = low;
  return wide[0]!;
}
