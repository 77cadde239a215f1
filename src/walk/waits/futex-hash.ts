import { readOrNot } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';

/** `struct futex_key` as `both`: what it is in, the page's address or index, and the offset with flags. */
type FutexKey = readonly [space: bigint, page: bigint, offset: number];

const INITIAL = 0xdead_beef;
const rotated = (word: number, by: number) => (word << by) | (word >>> (32 - by));

/** jhash2() of four words (include/linux/jhash.h). */
export function jhashOfFour([first, second, third, fourth]: readonly [number, number, number, number], seed: number) {
  const start = (INITIAL + (4 << 2) + seed) | 0;
  let [a, b, c] = [start + first, start + second, start + third];
  // __jhash_mix
  for (const [toA, toB, toC] of [
    [4, 6, 8],
    [16, 19, 4],
  ] as const) {
    a = ((a - c) | 0) ^ rotated(c, toA);
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ rotated(a, toB);
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ rotated(b, toC);
    b = (b + a) | 0;
  }
  a = (a + fourth) | 0;
  // __jhash_final
  c = ((c ^ b) - rotated(b, 14)) | 0;
  a = ((a ^ c) - rotated(c, 11)) | 0;
  b = ((b ^ a) - rotated(a, 25)) | 0;
  c = ((c ^ b) - rotated(b, 16)) | 0;
  a = ((a ^ c) - rotated(c, 4)) | 0;
  b = ((b ^ a) - rotated(a, 14)) | 0;
  c = ((c ^ b) - rotated(b, 24)) | 0;
  return c >>> 0;
}

/**
 * Whether the list of a futex's waiters is that of its hash bucket (futex_hash() in kernel/futex/core.c). Hashes of a
 * process or a node, which kernels have since 6.16, are not checked, nor is a table that cannot be read.
 *
 * @param head address of the list
 */
export function isFutexBucket(kernel: Kernel, head: bigint, [space, page, offset]: FutexKey): boolean {
  const data = kernel.symbol('__futex_data');
  const bucket = kernel.struct('futex_hash_bucket');
  const list = bucket?.member('chain.node_list');
  if (data === undefined || !bucket || !list || kernel.struct('futex_private_hash')) return true;
  const word = (at: bigint) => readOrNot(() => pointerPartOf(kernel, '__futex_data', data, at));
  const [queues, count] = [word(data), word(data + 8n)];
  if (queues === undefined || !count) return true;
  const low = (value: bigint) => Number(BigInt.asUintN(32, value));
  const hash = jhashOfFour([low(space), low(space >> 32n), low(page), low(page >> 32n)], offset);
  return head === queues + (BigInt(hash) % count) * BigInt(bucket.size) + BigInt(list.offset);
}
