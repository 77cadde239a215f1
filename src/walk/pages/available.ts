import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../machine/cpus.js';
import { zones } from '../memory/zones.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { memoryNodes } from './memory-nodes.js';
import { long, NodeCounters, ZoneCounters } from './vm-counters.js';

/**
 * What the kernel estimates that programs can still take without swapping, in base pages: MemAvailable
 * of /proc/meminfo (si_mem_available, mm/show_mem.c). Free pages less what zones hold back, the page cache
 * and slabs that shrink less the low watermarks, of which at most the half.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`; {@link ReadError}
 */
export function availablePages(kernel: Kernel): number | undefined {
  const at = needSymbol(kernel, 'totalreserve_pages');
  const reserved = long(kernel, 'totalreserve_pages', at, 0n);
  const places = zones(kernel);
  if (places.some(({ watermarks }) => watermarks === null)) return undefined;
  let low = places.reduce((sum, { watermarks }) => sum + (watermarks?.low ?? 0), 0);
  // What fragmentation added to all watermarks (since 5.0).
  const boost = kernel.struct('zone')?.member('watermark_boost');
  if (boost) {
    const zone = new StructReader(kernel, 'zone', ['watermark_boost']);
    for (const { address } of places) {
      const place = address + BigInt(zone.offset('watermark_boost'));
      low += Number(readPartOf(kernel, 'struct zone', address, place, 8).getBigUint64(0, true));
    }
  }
  const [nodes, counters] = [new NodeCounters(kernel), new ZoneCounters(kernel)];
  const sum = (...items: string[]) =>
    memoryNodes(kernel).reduce(
      (all, node) => items.reduce((pages, item) => pages + nodes.item(node, item), all),
      0,
    );
  const reclaimable = 'NR_SLAB_RECLAIMABLE_B';
  if (!nodes.has(reclaimable))
    throw new KernelError('unsupported-layout', 'this kernel does not count reclaimable slabs');
  const free = places.reduce(
    (pages, { address }) => pages + counters.item(address, 'NR_FREE_PAGES'),
    0,
  );
  const less = (pages: number) => pages - Math.min(Math.trunc(pages / 2), low);
  const files = less(sum('NR_ACTIVE_FILE', 'NR_INACTIVE_FILE'));
  const slabs = less(sum(reclaimable, 'NR_KERNEL_MISC_RECLAIMABLE'));
  // The kernel, too, says 0 of less than nothing.
  return Math.max(0, free - reserved + files + slabs);
}
