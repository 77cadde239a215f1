import type { Kernel } from '../../kernel/kernel.js';
import { memoryNodes } from './memory-nodes.js';
import { NodeCounters } from './vm-counters.js';

/** What drivers of graphics use, and what they keep to use again (since 6.18 or so). */
const ITEMS = ['NR_GPU_ACTIVE', 'NR_GPU_RECLAIM'] as const;

/**
 * Base pages of graphics drivers, as the kernel counts them; its page frames say nothing of whose they are.
 * Undefined: it does not count them.
 *
 * @throws {KernelError} `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function gpuPages(kernel: Kernel, counters = new NodeCounters(kernel)): number | undefined {
  const items = ITEMS.filter((item) => counters.has(item));
  if (items.length === 0) return undefined;
  let pages = 0;
  for (const node of memoryNodes(kernel))
    for (const item of items) pages += counters.item(node, item);
  return pages;
}
