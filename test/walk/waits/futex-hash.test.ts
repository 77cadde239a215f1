import { expect, test } from 'vitest';
import { isFutexBucket, jhashOfFour } from '../../../src/walk/waits/futex-hash.js';
import { made, madeKernel } from '../../support/made-kernel.js';

// Computed by a C program with the macros of include/linux/jhash.h.
test.each([
  [[0x1234_5678, 0xffff_8880, 0x7f00_1000, 0x7fff], 0x234, 1_649_829_406],
  [[0, 0, 0, 0], 0, 3_136_882_572],
] as const)('hashes four words as the kernel does: %j', (words, seed, hash) => {
  expect(jhashOfFour(words, seed)).toBe(hash);
});

test('finds the bucket of a key', () => {
  const structs = { futex_hash_bucket: { size: 64, members: { chain: [8, 16], 'chain.node_list': 8 } } } as const;
  const words = { 256: made(0x1000), 264: 256n };
  const kernel = madeKernel({ structs, symbols: { __futex_data: 0x100 }, words });
  const key = [0xffff_8880_1234_5678n, 0x7fff_7f00_1000n, 0x234] as const;
  const bucket = (hash: number) => made(0x1000 + (hash % 256) * 64 + 8);
  expect(isFutexBucket(kernel, bucket(1_649_829_406), key)).toBe(true);
  expect(isFutexBucket(kernel, bucket(1_649_829_407), key)).toBe(false);
  expect(isFutexBucket(kernel, bucket(1_649_829_406), [key[0], key[1] + 4096n, key[2]])).toBe(false);
  const later = madeKernel({ structs: { ...structs, futex_private_hash: { size: 8, members: {} } }, words });
  expect(isFutexBucket(later, made(0), key)).toBe(true);
});
