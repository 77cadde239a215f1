import { KernelError, ReadError, readOrNot } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { CategoryGroup, CategoryName } from '../../records/categories.js';
import { needSymbol } from '../../walk/cpus.js';
import { ramBytes } from '../../walk/machine-facts.js';
import type { FrameRange } from '../../walk/memory/ram.js';
import { readPartOf } from '../../walk/named-read.js';
import { gpuPages, hugePages, long, memoryNodes, NodeCounters, ZoneCounters } from '../../walk/pages/vm-counters.js';

/** `enum lru_list` (include/linux/mmzone.h). */
const LRU_LISTS = ['NR_INACTIVE_ANON', 'NR_ACTIVE_ANON', 'NR_INACTIVE_FILE', 'NR_ACTIVE_FILE', 'NR_UNEVICTABLE'];

/** The kernel's counters, in base pages. */
export type KernelCounts = ReadonlyMap<
  | CategoryName
  | CategoryGroup
  | 'memory'
  | 'all-vmalloc'
  | 'all-slab'
  | 'all-reserved'
  | 'all-lru'
  | 'active-file'
  | 'all-isolated'
  | 'all-locked'
  | 'all-free',
  number
>;

/**
 * Returns the kernel's own counters of categories, including per-CPU differences. Counters that are
 * unreadable, or that this kernel lacks, are omitted.
 *
 * @param lost receives data that an intact dump has and this one lacks, but not counters that the kernel
 * lacks
 * @param deferred frames whose struct pages were not initialized
 * - `all-free` is NR_FREE_PAGES, including memory that a confidential guest has not accepted; `free-buddy`
 * excludes it. Pages on per-CPU free lists are in no counter.
 * - `anonymous` counts mapped pages, including those in the swap cache.
 * - `page-cache` is NR_FILE_PAGES without shared memory and the swap cache: MemInfo's Cached and Buffers.
 * - `all-vmalloc` counts vmalloc with stacks, modules and BPF; `all-slab` counts slabs with large kmallocs.
 * - `all-lru` counts pages on the LRU lists, `all-isolated` those that reclaim or migration isolated, and
 * `all-locked` those that are mlocked.
 * - `all-reserved` is memory of zones that the buddy allocator never gets.
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
  /** Kilobytes of a page. */
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
    set('active-file', sum('NR_ACTIVE_FILE'));
    set('swap-cache', sum('NR_SWAPCACHE'));
    set('slab-reclaimable', sum('NR_SLAB_RECLAIMABLE_B'));
    set('all-slab', sum('NR_SLAB_UNRECLAIMABLE_B'));
    set('page-tables', sum('NR_PAGETABLE'));
    const lists = LRU_LISTS.map(sum);
    if (!lists.includes(undefined))
      set(
        'all-lru',
        lists.reduce<number>((all, count) => all + (count ?? 0), 0),
      );
    // An extract may lack them.
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
        if (zones.has('NR_UNACCEPTED')) add('free-unaccepted', zones.item(zone.address, 'NR_UNACCEPTED'));
        const locked = readOrNot(() => zones.item(zone.address, 'NR_MLOCK'));
        if (locked !== undefined) add('all-locked', locked);
        // Counters of zones in 5.10, of nodes later; likewise stacks before 5.9.
        if (ofZone) add('page-tables', zones.item(zone.address, 'NR_PAGETABLE'));
        if (zones.has('NR_KERNEL_STACK_KB'))
          add('kernel-stacks', zones.item(zone.address, 'NR_KERNEL_STACK_KB') / kilobytes);
      }
    }
  });
  attempt(() => {
    if (deferred.length === 0) return;
    const [memory, reserved] = [counts.get('memory') ?? 0, counts.get('all-reserved') ?? 0];
    // No zone manages these pages yet, but MemTotal includes them.
    const pages = ramBytes(kernel) / kernel.facts.pageSize - (memory - reserved);
    add('free-uninitialized', pages);
    add('all-reserved', -pages);
  });
  attempt(() => {
    const variable = kernel.symbol('nr_vmalloc_pages');
    if (variable !== undefined) counts.set('all-vmalloc', long(kernel, 'nr_vmalloc_pages', variable, 0n));
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

/** Returns the total difference between counters, in pages. */
export function driftBetween(before: KernelCounts, after: KernelCounts): number {
  let pages = 0;
  for (const [name, count] of before) {
    if (name.startsWith('all-') || name === 'memory') continue;
    pages += Math.abs((after.get(name) ?? count) - count);
  }
  return pages;
}
