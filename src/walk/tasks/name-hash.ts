const WORD = 2n ** 64n - 1n;
/** GOLDEN_RATIO_64 (include/linux/hash.h). */
const GOLDEN_RATIO = 0x61c8_8646_80b5_83ebn;
const [MOST, MASK] = [0x7fff_ffff, 0x7fff_ffffn];

/**
 * Whether a kernfs node keeps this hash of its name (kernfs_name_hash in fs/kernfs/dir.c). Before 4.7 the sum was
 * folded in another way; a `char` has a sign on x86, and on other architectures before 6.2.
 */
export function isNameHash(hash: number, name: Uint8Array): boolean {
  return [sumOf(name, true), sumOf(name, false)].some(
    (sum) => limited(((sum * GOLDEN_RATIO) & WORD) >> 32n) === hash || limited(sum) === hash,
  );
}

/** The hash of an ASCII name as kernels keep it since 4.7. */
export function nameHash(name: Uint8Array): number {
  return limited(((sumOf(name, false) * GOLDEN_RATIO) & WORD) >> 32n);
}

/** partial_name_hash (include/linux/stringhash.h). */
function sumOf(name: Uint8Array, signed: boolean): bigint {
  let sum = 0n;
  for (const byte of name) {
    const character = signed ? BigInt.asUintN(64, BigInt((byte << 24) >> 24)) : BigInt(byte);
    sum = ((sum + (character << 4n) + (character >> 4n)) * 11n) & WORD;
  }
  return sum;
}

/** 0, 1 and INT_MAX mark places between nodes. */
function limited(sum: bigint): number {
  const hash = Number(sum & MASK);
  return hash < 2 ? hash + 2 : Math.min(hash, MOST - 1);
}
