/** 64-bit numbers that are not negative, by their indices, in halves of 32 bits. */
export interface Keys {
  readonly length: number;
  low(index: number): number;
  high(index: number): number;
}

/** Whole numbers below 2^53, the first `length` of `values`, as keys. */
export function numberKeys(values: Float64Array, length = values.length): Keys {
  return {
    length,
    // `>>>` takes a number's lowest 32 bits.
    low: (index) => values[index]! >>> 0,
    high: (index) => (values[index]! * 2 ** -32) >>> 0,
  };
}

const DIGITS = [
  { shift: 0, bits: 11 },
  { shift: 11, bits: 11 },
  { shift: 22, bits: 10 },
] as const;

/**
 * The indices of keys in ascending order, equal ones as they were: sorted by one digit after the other,
 * the lowest first. Millions are a matter of a second, where a comparison each would take ten.
 */
export function ascending(keys: Keys): Uint32Array {
  const { length } = keys;
  let order = new Uint32Array(length);
  for (let index = 0; index < length; index++) order[index] = index;
  let sorted = new Uint32Array(length);
  for (const half of [keys.low, keys.high]) {
    for (const { shift, bits } of DIGITS) {
      const mask = (1 << bits) - 1;
      const places = new Uint32Array(1 << bits);
      for (let index = 0; index < length; index++) places[(half(index) >>> shift) & mask]!++;
      // In a digit that is the same in all, there is nothing to sort.
      if (length > 0 && places[(half(0) >>> shift) & mask] === length) continue;
      let place = 0;
      for (let digit = 0; digit < places.length; digit++) {
        const having = places[digit]!;
        places[digit] = place;
        place += having;
      }
      for (let i = 0; i < length; i++) {
        const index = order[i]!;
        sorted[places[(half(index) >>> shift) & mask]!++] = index;
      }
      [order, sorted] = [sorted, order];
    }
  }
  return order;
}
