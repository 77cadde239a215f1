import type { Kernel } from '../../kernel/kernel.js';
import { settledAreas } from '../../walk/memory/vm-areas.js';
import type { SiteFrame } from '../recording.js';

/** An area of vmalloc that owns pages, by the kernel's own list. */
export interface KernelArea {
  readonly address: bigint;
  /** Of its pages. */
  readonly bytes: number;
  /** Who asked for it. */
  readonly caller: SiteFrame;
}

/**
 * Reads the vmap areas of the running kernel, whose addresses /proc/vmallocinfo hides.
 *
 * @throws {KernelError}, {@link ReadError}: the list changed too fast, or cannot be read
 */
export function kernelAreas(kernel: Kernel): readonly KernelArea[] {
  const { pageSize } = kernel.facts;
  return [...settledAreas(kernel)].flatMap(({ address, count, caller }) => {
    if (count === 0) return [];
    const found = kernel.symbolAt?.(caller);
    const frame = found
      ? { symbol: found.name, offset: found.offset, module: found.module ?? null, line: null }
      : { symbol: null, offset: null, module: null, line: null };
    return [{ address, bytes: count * pageSize, caller: frame }];
  });
}
