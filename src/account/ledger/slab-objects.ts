import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../../walk/machine/cpus.js';
import { readPartOf } from '../../walk/named-read.js';
import type { NetworkPages } from '../../walk/pages/network-pages.js';
import type { SkbCache } from '../../walk/pages/skb-caches.js';
import { freeInCaches } from '../../walk/pages/slab-usage.js';
import type { Row } from './unexplained-row.js';

/** What lies in each cache, in words. */
export const CACHE_WORDS: Readonly<Record<SkbCache['kind'], string>> = {
  skbs: 'skbs',
  'skb-pairs': 'pairs of skbs',
  'skb-heads': 'small heads of skbs',
};

/**
 * Objects that the slabs of a cache count as in use, less those that were met and those kept in
 * reserve.
 *
 * @param seen what the scan over all page frames told
 * @param met how many of its slots sockets and other rows hold
 * @throws {KernelError}, {@link ReadError} where they cannot be counted
 */
export function slabObjects(kernel: Kernel, cache: SkbCache, seen: NetworkPages, met: number): Row {
  const count = seen.usage.count(cache.address);
  if (!seen.complete || !count) {
    throw new KernelError('damaged', 'not every slab of the dump could be looked at');
  }
  const used = count.inUse - freeInCaches(kernel, cache.address);
  const reserve = cache.kind === 'skbs' ? napiReserve(kernel) : 0;
  const left = used - reserve - met;
  const words = CACHE_WORDS[cache.kind];
  const kept = reserve > 0 ? `, ${reserve} kept ready by CPUs` : '';
  const told = `${used} ${words} are in use: ${met} in queues${kept}`;
  if (cache.merged) {
    const message = `At most ${told}, and ${Math.max(0, left)} others, which may be anything: the allocator keeps objects of other kinds in this cache too.`;
    return { objects: null, bytes: null, message };
  }
  if (left < 0) {
    const message = `Of the ${words} ${met} were met and ${used} are in use: the dump changed while it was taken, or is damaged.`;
    return { objects: null, bytes: null, message, complete: false };
  }
  return { objects: left, bytes: left * cache.size, message: `${told}, ${left} not explained.` };
}

/** Skbs that CPUs keep to hand out: `napi_alloc_cache.skb_cache` (net/core/skbuff.c). */
function napiReserve(kernel: Kernel): number {
  const template = kernel.symbol('napi_alloc_cache');
  const count = kernel.struct('napi_alloc_cache')?.member('skb_count');
  const slots = kernel.struct('napi_alloc_cache')?.member('skb_cache')?.count;
  if (template === undefined || !count || slots === undefined) {
    throw new KernelError('unsupported-layout', 'this kernel has no napi_alloc_cache');
  }
  let kept = 0;
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const cache = perCpuAddress(kernel, template, cpu);
    const at = cache + BigInt(count.offset);
    const whole = 'struct napi_alloc_cache';
    const own = readPartOf(kernel, whole, cache, at, 4).getUint32(0, true);
    if (own > slots) {
      throw new KernelError('damaged', `CPU ${cpu} keeps ${own} skbs in ${slots} places`);
    }
    kept += own;
  }
  return kept;
}
