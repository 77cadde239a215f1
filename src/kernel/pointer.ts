import { highHalf, joinHalves, lowHalf } from './halves.js';

/** How many values a half has. */
export const HALF = 0x1_0000_0000;

/**
 * A 64-bit address that can be moved: for loops over hundreds of thousands of objects, where a bigint
 * for each step would be garbage. The one place that knows of halves of addresses and their carry.
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

  /** The address, modulo 2^64, as a bigint. */
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

  /** Whether both are the same address. */
  equals(other: Pointer): boolean {
    return this.low === other.low && this.high === other.high;
  }

  /** Takes the pointer that lies at `offset` of a view. */
  load(view: DataView, offset: number): this {
    this.low = view.getUint32(offset, true);
    this.high = view.getUint32(offset + 4, true);
    return this;
  }

  /** Without these bits, in which the kernel says what it points to; below 2^31. */
  clearLowBits(flags: number): this {
    this.low = (this.low & ~flags) >>> 0;
    return this;
  }

  /**
   * Goes so many bytes behind another pointer, which may be this one; wraps at 2^64, as the kernel's
   * own arithmetic does.
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

  /** Bytes from another pointer to this one: exact up to 2^53, beyond that only large enough. */
  minus(other: Pointer): number {
    return (this.high - other.high) * HALF + (this.low - other.low);
  }
}
