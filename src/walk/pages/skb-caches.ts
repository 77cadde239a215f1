import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** A slab cache for skbs or their heads. */
export interface SkbCache {
  /** Type of its objects: skbs, pairs of them, or small linear heads. */
  readonly kind: 'skbs' | 'skb-fclones' | 'skb-heads';
  /** Address of the `struct kmem_cache`. */
  readonly address: bigint;
  /** Bytes of a slot. */
  readonly size: number;
  /** Whether the allocator merged it with caches of similar size: its objects may then be of any type. */
  readonly merged: boolean;
}

/** Variables that point to the caches, and since 6.9 members of `net_hotdata` (net/core/skbuff.c). */
const POINTERS = [
  ['skbs', ['skbuff_cache', 'skbuff_head_cache']],
  ['skb-fclones', ['skbuff_fclone_cache']],
  ['skb-heads', ['skb_small_head_cache']],
] as const;

/**
 * The skb caches that this kernel has pointers to.
 *
 * @throws {ReadError}; {@link KernelError} `unsupported-layout`, `damaged`
 */
export function skbCaches(kernel: Kernel): SkbCache[] {
  const reader = new StructReader(kernel, 'kmem_cache', ['size', 'refcount']);
  const caches = POINTERS.flatMap(([kind, names]): SkbCache[] => {
    const pointer = names.map((name) => pointerAt(kernel, name)).find((found) => found);
    if (pointer === undefined) return [];
    const { whole, at, address: from } = pointer;
    const address = pointerPartOf(kernel, whole, at, from);
    // Created at boot, before any device or socket (skb_init).
    if (address === 0n) throw damaged(`${whole} names no cache of ${kind}`);
    const view = reader.read(address);
    return [{ kind, address, size: view.number('size'), merged: view.number('refcount') > 1 }];
  });
  for (const { kind, address, merged } of caches) {
    const other = caches.find((cache) => cache.address === address && cache.kind !== kind);
    if (!other || merged) continue;
    throw damaged(`${kind} and ${other.kind} have one cache, which is not merged`);
  }
  return caches;
}

/** Address of the pointer to a cache, and the variable that is or contains this pointer. */
function pointerAt(kernel: Kernel, name: string) {
  const hot = kernel.symbol('net_hotdata');
  const member = kernel.struct('net_hotdata')?.member(name);
  if (hot !== undefined && member)
    return { whole: 'net_hotdata', at: hot, address: hot + BigInt(member.offset) };
  const address = kernel.symbol(name);
  return address === undefined ? undefined : { whole: name, at: address, address };
}
