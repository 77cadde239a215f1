import type { Kernel } from '../kernel/kernel.js';

/** Flags of kernels without an enum for them (before 6.9, include/linux/slab.h). */
const BEFORE = { _SLAB_RED_ZONE: 0x400, _SLAB_STORE_USER: 0x1_0000, _SLAB_RECLAIM_ACCOUNT: 0x2_0000 } as const;

/** The mask of a flag in `kmem_cache.flags`. */
export function slabFlag(kernel: Kernel, name: keyof typeof BEFORE): number {
  const bit = kernel.enumerators('_slab_flag_bits')?.get(name);
  return bit === undefined ? BEFORE[name] : 2 ** Number(bit);
}
