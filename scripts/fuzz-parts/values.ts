import type { Random } from './random.js';

/** Values for a damaged 64-bit word, in addition to those that the memory suggests. */
const WORDS: readonly bigint[] = [
  0n,
  1n,
  7n,
  0xffn,
  0xfffn,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
  2n ** 64n - 8n,
  2n ** 64n - 4096n,
  // List poison, a user-space address, a non-canonical one, the image, the vmalloc area.
  0xdead000000000100n,
  0x00007f1234567000n,
  0x1234567812345678n,
  0xffffffff81000000n,
  0xffffc90000000000n,
];

/** A wild value for a little-endian integer of this size that contained `old`. */
export function wildValue(random: Random, old: bigint, bytes: number): bigint {
  const bits = bytes * 8;
  const value = (() => {
    switch (random.below(5)) {
      case 0:
        return old ^ (1n << BigInt(random.below(bits)));
      case 1:
        return old + BigInt(random.below(33) - 16);
      case 2:
        return random.word();
      default:
        return random.pick(WORDS);
    }
  })();
  return BigInt.asUintN(bits, value);
}

/** Hostile content of names: escape sequences, line ends, bidi, broken UTF-8. */
const HOSTILE: readonly string[] = [
  '\x1b[2J\x1b[H',
  '\x1b]0;owned\x07',
  'a\nkdump-mem: 0 B',
  '\r\b\b\b',
  '\u009b31m',
  '\u202egpj.exe',
  '\u2066\u2069\u200f\ufeff',
  '\\x41\\',
  '\x7f\x00hidden',
  '"><script>alert(1)</script>',
  '\u2028\u2029',
];

export function hostileText(random: Random, bytes: number): Uint8Array {
  if (random.oneIn(3)) return random.bytes(bytes);
  const text = Buffer.from(random.pick(HOSTILE).repeat(8), random.oneIn(2) ? 'utf8' : 'latin1');
  return Uint8Array.from(text.subarray(0, bytes));
}
