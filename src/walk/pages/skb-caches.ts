import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** A slab cache that skbs or their heads come from. */
export interface SkbCache {
  /** What its objects are: skbs, pairs of them, or small linear heads. */
  readonly kind: 'skbs' | 'skb-fclones' | 'skb-heads';
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
  ['skb-fclones', ['skbuff_fclone_cache']],
  ['skb-heads', ['skb_small_head_cache']],
] as const;

/**
 * The caches that this kernel names.
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
    // Made while the machine boots, before any device or socket (skb_init).
    if (address === 0n) throw new KernelError('damaged', `${whole} names no cache of ${kind}`);
    const view = reader.read(address);
    return [{ kind, address, size: view.number('size'), merged: view.number('refcount') > 1 }];
  });
  for (const { kind, address, merged } of caches) {
    const other = caches.find((cache) => cache.address === address && cache.kind !== kind);
    if (!other || merged) continue;
    throw new KernelError(
      'damaged',
      `${kind} and ${other.kind} have one cache, which is not merged`,
    );
  }
  return caches;
}

/** Where the pointer to a cache is, and the variable that it is, or is part of. */
function pointerAt(kernel: Kernel, name: string) {
  const hot = kernel.symbol('net_hotdata');
  const member = kernel.struct('net_hotdata')?.member(name);
  if (hot !== undefined && member)
    return { whole: 'net_hotdata', at: hot, address: hot + BigInt(member.offset) };
  const address = kernel.symbol(name);
  return address === undefined ? undefined : { whole: name, at: address, address };
}
