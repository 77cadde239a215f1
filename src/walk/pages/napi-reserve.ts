import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../machine/cpus.js';
import { readPartOf } from '../named-read.js';

/**
 * How many skbs CPUs keep to hand out: `napi_alloc_cache.skb_cache` (net/core/skbuff.c).
 *
 * @throws {KernelError} `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function napiReserve(kernel: Kernel): number {
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
