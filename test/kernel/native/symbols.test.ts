import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ascending, numberKeys } from '../../../src/kernel/native/symbols.js';

const anyNumber = fc.oneof(fc.maxSafeNat(), fc.nat(3), fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 52));

it('sorts numbers of up to 53 bits stably', () => {
  fc.assert(
    fc.property(fc.array(anyNumber, { maxLength: 300 }), fc.nat(300), (values, length) => {
      const used = Math.min(length, values.length);
      const expected = Array.from({ length: used }, (_, i) => i);
      expected.sort((a, b) => values[a]! - values[b]! || a - b);
      expect([...ascending(numberKeys(Float64Array.from(values), used))]).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});
