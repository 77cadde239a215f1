const WORD = 2n ** 64n - 1n;

/** GOLDEN_RATIO_64 (include/linux/hash.h). */
const GOLDEN_RATIO = 0x61c8_8646_80b5_83ebn;

/**
 * Returns the hash of a name in a directory (`dentry.d_name.hash`) as the kernel computes it by words
 * (DCACHE_WORD_ACCESS, all usual kernels) and by bytes (full_name_hash in fs/namei.c). Since 4.8 it depends on
 * the address of the directory's dentry.
 */
export function nameHashes(parent: bigint, name: Uint8Array): readonly [number, number] {
  return [hashByWords(parent, name), hashByBytes(parent, name)];
}

function hashByWords(parent: bigint, name: Uint8Array): number {
  let [x, y] = [0n, parent];
  const whole = name.length - (name.length % 8);
  for (let at = 0; at < whole; at += 8) {
    x ^= littleEndian(name, at, at + 8);
    y ^= x;
    x = (rotated(x, 12n) + y) & WORD;
    y = (rotated(y, 45n) * 9n) & WORD;
  }
  x ^= littleEndian(name, whole, name.length);
  return upper((y ^ (x * GOLDEN_RATIO)) & WORD);
}

function hashByBytes(parent: bigint, name: Uint8Array): number {
  let hash = parent;
  for (const byte of name) hash = ((hash + BigInt(byte << 4) + BigInt(byte >> 4)) * 11n) & WORD;
  return upper(hash);
}

/** The upper half of the product, as hash_long() and fold_hash() return it. */
function upper(value: bigint): number {
  return Number(((value * GOLDEN_RATIO) & WORD) >> 32n);
}

function rotated(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & WORD;
}

function littleEndian(bytes: Uint8Array, from: number, to: number): bigint {
  let value = 0n;
  for (let at = to - 1; at >= from; at--) value = (value << 8n) | BigInt(bytes[at]!);
  return value;
}
