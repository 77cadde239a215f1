import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../../walk/machine/cpus.js';
import { ramBytes } from '../../walk/machine/machine.js';
import type { FrameRange } from '../../walk/memory/ram.js';
import { readPartOf } from '../../walk/named-read.js';
import { gpuPages } from '../../walk/pages/gpu-pages.js';
import { memoryNodes } from '../../walk/pages/memory-nodes.js';
import { hugePages } from '../../walk/pages/memory-use.js';
import { long, NodeCounters, ZoneCounters } from '../../walk/pages/vm-counters.js';
import { readOrNot } from '../../walk/read-or-not.js';
import type { CategoryGroup, CategoryName } from './categories.js';

/** `enum lru_list` (include/linux/mmzone.h). */
const LRU_LISTS = [
  ...['NR_INACTIVE_ANON', 'NR_ACTIVE_ANON', 'NR_INACTIVE_FILE', 'NR_ACTIVE_FILE'],
  'NR_UNEVICTABLE',
];

/** Base pages, as the kernel counts them, of what its counters name. */
export type KernelCounts = ReadonlyMap<
  | CategoryName
  | CategoryGroup
  | 'memory'
  | 'all-vmalloc'
  | 'all-slab'
  | 'all-reserved'
  | 'all-lru'
  | 'all-isolated'
  | 'all-locked'
  | 'all-free',
  number
>;

/**
 * The kernel's own counters of what categories hold, with what CPUs have counted and not added; of those
 * that this kernel lacks, or that cannot be read, there is none.
 *
 * @param lost told of what a sound dump has and this one lacks; not of counters that a kernel has not
 * @param deferred frames whose struct pages were not initialized
 *
 * - `all-free` is NR_FREE_PAGES, what a confidential guest has not accepted among it; `free-buddy` is without
 *   that. Pages of CPUs' lists are in no counter.
 * - `anonymous` counts what is mapped: what is in the swap cache too is among it.
 * - `page-cache` is NR_FILE_PAGES less shared memory and the swap cache; MemInfo's Cached and Buffers.
 * - `all-vmalloc` counts stacks, modules and BPF with vmalloc; `all-slab` large kmallocs with slabs.
 * - `all-lru` counts pages of the lists of those that were used last, and `all-isolated` those that reclaim or
 *   migration took off; `all-locked` those that mlock keeps.
 * - `all-reserved` is what zones have and the buddy allocator never gets.
 */
export function kernelCounts(
  kernel: Kernel,
  lost: (error: KernelError | ReadError) => void = () => {},
  deferred: readonly FrameRange[] = [],
): KernelCounts {
  const counts = new Map<string, number>();
  const attempt = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
      if (error instanceof ReadError || error.code === 'damaged') lost(error);
    }
  };
  /** Of a page. */
  const kilobytes = kernel.facts.pageSize / 1024;
  const add = (name: string, pages: number) => counts.set(name, (counts.get(name) ?? 0) + pages);
  attempt(() => {
    const nodes = new NodeCounters(kernel);
    const all = memoryNodes(kernel);
    const sum = (item: string): number | undefined =>
      nodes.has(item) ? all.reduce((pages, node) => pages + nodes.item(node, item), 0) : undefined;
    const set = (name: string, pages: number | undefined) => {
      if (pages !== undefined) counts.set(name, pages);
    };
    set('anonymous', sum('NR_ANON_MAPPED'));
    set('shared', sum('NR_SHMEM'));
    set('swap-cache', sum('NR_SWAPCACHE'));
    set('slab-reclaimable', sum('NR_SLAB_RECLAIMABLE_B'));
    set('all-slab', sum('NR_SLAB_UNRECLAIMABLE_B'));
    set('page-tables', sum('NR_PAGETABLE'));
    const lists = LRU_LISTS.map(sum);
    if (!lists.includes(undefined))
      set(
        'all-lru',
        lists.reduce<number>((all, one) => all + (one ?? 0), 0),
      );
    // An extract need not have them.
    const isolated = readOrNot(() => ['NR_ISOLATED_ANON', 'NR_ISOLATED_FILE'].map(sum));
    set('all-isolated', isolated && (isolated[0] ?? 0) + (isolated[1] ?? 0));
    set('balloon', sum('NR_BALLOON_PAGES'));
    set('gpu', gpuPages(kernel, nodes));
    set('all-vmalloc', sum('NR_VMALLOC'));
    const stacks = sum('NR_KERNEL_STACK_KB');
    set('kernel-stacks', stacks === undefined ? undefined : stacks / kilobytes);
    const [files, shared] = [sum('NR_FILE_PAGES'), sum('NR_SHMEM')];
    const swapped = sum('NR_SWAPCACHE');
    if (files !== undefined && shared !== undefined && swapped !== undefined)
      set('page-cache', files - shared - swapped);
  });
  attempt(() => {
    const zones = new ZoneCounters(kernel);
    const ofZone = zones.has('NR_PAGETABLE');
    for (const node of memoryNodes(kernel)) {
      for (const zone of zones.of(node)) {
        add('memory', zone.present);
        add('all-reserved', zone.present - zone.managed);
        const free = zones.item(zone.address, 'NR_FREE_PAGES');
        add('all-free', free);
        add('free-buddy', free - zones.item(zone.address, 'NR_UNACCEPTED'));
        if (zones.has('NR_ZSPAGES')) add('compressed', zones.item(zone.address, 'NR_ZSPAGES'));
        if (zones.has('NR_UNACCEPTED'))
          add('free-unaccepted', zones.item(zone.address, 'NR_UNACCEPTED'));
        const locked = readOrNot(() => zones.item(zone.address, 'NR_MLOCK'));
        if (locked !== undefined) add('all-locked', locked);
        // Of zones in 5.10, of nodes later; so were stacks before 5.9.
        if (ofZone) add('page-tables', zones.item(zone.address, 'NR_PAGETABLE'));
        if (zones.has('NR_KERNEL_STACK_KB'))
          add('kernel-stacks', zones.item(zone.address, 'NR_KERNEL_STACK_KB') / kilobytes);
      }
    }
  });
  attempt(() => {
    if (deferred.length === 0) return;
    const [memory, reserved] = [counts.get('memory') ?? 0, counts.get('all-reserved') ?? 0];
    // No zone manages them yet, and MemTotal has them.
    const pages = ramBytes(kernel) / kernel.facts.pageSize - (memory - reserved);
    add('free-uninitialized', pages);
    add('all-reserved', -pages);
  });
  attempt(() => {
    const variable = kernel.symbol('nr_vmalloc_pages');
    if (variable !== undefined)
      counts.set('all-vmalloc', long(kernel, 'nr_vmalloc_pages', variable, 0n));
  });
  attempt(() => {
    const huge = hugePages(kernel);
    if (huge !== undefined) counts.set('hugetlb', huge);
  });
  attempt(() => {
    const [populated, units] = ['pcpu_nr_populated', 'pcpu_nr_units'].map((name) => {
      const at = needSymbol(kernel, name);
      return readPartOf(kernel, name, at, at, 4).getUint32(0, true);
    });
    counts.set('percpu', populated! * units!);
  });
  return counts as KernelCounts;
}

/** By how many pages counters differ, all together. */
export function driftBetween(before: KernelCounts, after: KernelCounts): number {
  let pages = 0;
  for (const [name, count] of before) {
    if (name.startsWith('all-') || name === 'memory') continue;
    pages += Math.abs((after.get(name) ?? count) - count);
  }
  return pages;
}
