import type { Balloon, NotRead, ZfsCache } from './named-memory.js';

/** Memory counters of /proc, in bytes. Counters that this kernel lacks are absent. */
export interface MemoryCounters {
  readonly release: string;
  /** Size of a base page in bytes; 4096 if unknown. */
  readonly pageSize: number;
  /** False: unknown, and files that count pages are not used. */
  readonly hasPageSize: boolean;
  /** Memory present in zones, and the part managed by the buddy allocator (/proc/zoneinfo). */
  readonly present: number | undefined;
  readonly managed: number | undefined;
  /**
   * Free memory in the buddy allocators of all zones (/proc/zoneinfo); undefined: some zones do not count it.
   */
  readonly zoneFree: number | undefined;
  /** Free memory on per-CPU free lists. */
  readonly onCpus: number | undefined;
  /** Why zones are not available. */
  readonly whyNoZones: string | undefined;
  /** Number of CPUs, each of which holds back up to 125 pages of each counter (mm/vmstat.c). */
  readonly cpus: number;
  /** Lines of /proc/meminfo, by name. */
  readonly meminfo: ReadonlyMap<string, number>;
  /** Names of all lines of /proc/meminfo; `WHOLE` if the text is known to be whole. */
  readonly printed: ReadonlySet<string>;
  /** Malformed lines by name, with their content. Untrusted. */
  readonly damaged: ReadonlyMap<string, string>;
  /** Memory of zsmalloc (/proc/vmstat, nr_zspages). */
  readonly compressed: number | undefined;
  /** Memory of struct pages: boot memory, and allocated later (/proc/vmstat, since 6.12). */
  readonly memmap: { readonly boot: number; readonly later: number } | undefined;
  /** Memory of a guest in a balloon of its hypervisor; absent: none is known. */
  readonly balloon?: Balloon;
  /** ZFS's cache; absent: ZFS is not loaded, or it was not read. */
  readonly zfs?: ZfsCache;
  /** Balloon or cache whose files are unreadable, malformed or contradictory. */
  readonly unreadCounters?: readonly NotRead[];
}

/** A zone with memory, of the kernel itself or /proc/zoneinfo. Frames and pages are base pages. */
export interface ZoneRecord {
  /** Number of its NUMA node. */
  readonly nodeId: number;
  /** `DMA`, `DMA32`, `Normal`, `Movable`; hostile in a capture. */
  readonly name: string;
  /** First page frame. */
  readonly start: number;
  readonly spanned: number;
  readonly present: number;
  readonly managed: number;
  /**
   * Number of free blocks of each order, as counted by the free lists (`free_area[order].nr_free`,
   * /proc/buddyinfo); empty: not available.
   */
  readonly freeBlocks: readonly number[];
  /**
   * Watermarks in free pages: below them allocations stall or fail (min), kswapd wakes (low), or keeps
   * running (high); null if unknown.
   */
  readonly watermarks: { readonly min: number; readonly low: number; readonly high: number } | null;
}

/** Pages in free blocks, by order. */
export const freePages = (blocks: readonly number[]): number =>
  blocks.reduce((sum, count, order) => sum + count * 2 ** order, 0);
