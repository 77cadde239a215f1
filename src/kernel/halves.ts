// Virtual addresses are 64-bit bigints at the interface. Inside loops, arithmetic is done on their
// 32-bit halves: storing a bigint into a typed array and loading the halves makes no garbage.
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
