import type { Kernel } from '../kernel/kernel.js';
import { StructReader } from './struct-reader.js';

/** A slab cache that skbs or their heads come from. */
export interface SkbCache {
  /** What its objects are: skbs, pairs of them, or small linear heads. */
  readonly kind: 'skbs' | 'skb-pairs' | 'skb-heads';
  /** Address of the `struct kmem_cache`. */
  readonly address: bigint;
  /** Bytes of a slot. */
  readonly size: number;
  /** The allocator has merged it with others alike in size: its objects may be anything. */
  readonly merged: boolean;
}

/** Variables that point to the caches, and since 6.9 members of `net_hotdata` (net/core/skbuff.c). */
const POINTERS = [
  ['skbs', ['skbuff_cache', 'skbuff_head_cache']],
  ['skb-pairs', ['skbuff_fclone_cache']],
  ['skb-heads', ['skb_small_head_cache']],
] as const;

/** The caches that this kernel names. @throws {ReadError}; {@link KernelError} `unsupported-layout` */
export function skbCaches(kernel: Kernel): SkbCache[] {
  const reader = new StructReader(kernel, 'kmem_cache', ['size', 'refcount']);
  return POINTERS.flatMap(([kind, names]) => {
    const at = names.map((name) => pointerAt(kernel, name)).find((found) => found !== undefined);
    if (at === undefined) return [];
    const address = kernel.read(at, 8).getBigUint64(0, true);
    if (address === 0n) return [];
    const view = reader.read(address);
    return [{ kind, address, size: view.number('size'), merged: view.number('refcount') > 1 }];
  });
}

function pointerAt(kernel: Kernel, name: string): bigint | undefined {
  const hot = kernel.symbol('net_hotdata');
  const member = kernel.struct('net_hotdata')?.member(name);
  if (hot !== undefined && member) return hot + BigInt(member.offset);
  return kernel.symbol(name);
}
