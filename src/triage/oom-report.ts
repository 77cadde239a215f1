import type { PrintedFrame } from './printed-frame.js';

/** A process that the OOM killer killed. Null: not printed. */
export interface OomVictim {
  readonly pid: number;
  /** Hostile. */
  readonly comm: string;
  readonly uid: number | null;
  readonly totalVmBytes: number | null;
  readonly anonBytes: number | null;
  readonly fileBytes: number | null;
  readonly shmemBytes: number | null;
  readonly pageTableBytes: number | null;
  readonly oomScoreAdj: number | null;
  /** What the OOM reaper printed of it; null: nothing. */
  readonly reaper: 'reaped' | 'failed' | null;
}

/** Free blocks of one order in a zone. */
export interface FreeBlocks {
  readonly order: number;
  readonly count: number;
  /** Letters of migrate types as printed (`UME`); '' where none are. */
  readonly types: string;
}

/** A zone when memory ran out. Null: not printed, or cut off. */
export interface ZoneShown {
  readonly node: number;
  readonly zone: string;
  readonly freeBytes: number;
  readonly minBytes: number;
  readonly lowBytes: number | null;
  readonly highBytes: number | null;
  readonly presentBytes: number | null;
  readonly managedBytes: number | null;
  /** Pages that an allocation for a higher zone has to leave, by index of that zone (`lowmem_reserve`). */
  readonly reserves: readonly number[];
  readonly freeBlocks: readonly FreeBlocks[] | null;
}

/** Memory of listed processes. Shared pages are counted with each process. */
export interface TaskMemory {
  readonly rssBytes: number;
  /** Null: the table has no such column. */
  readonly swapBytes: number | null;
  readonly pageTableBytes: number | null;
}

/** A process in the OOM killer's table. Names are hostile. */
export interface ListedTask extends TaskMemory {
  readonly pid: number;
  /** Differs from `pid` where the first thread of the process has exited. */
  readonly tgid: number | null;
  readonly name: string;
  readonly uid: number | null;
  readonly totalVmBytes: number | null;
  readonly oomScoreAdj: number | null;
}

/** Processes of one name. */
export interface TaskGroup extends TaskMemory {
  readonly name: string;
  readonly tasks: number;
}

/** Counters of a memcg, by the names of its memory.stat: bytes, or events. */
export interface MemcgCounters {
  /** Hostile. */
  readonly path: string;
  readonly counters: Readonly<Record<string, number>>;
}

/** A slab cache of `Unreclaimable slab info`. */
export interface SlabShown {
  readonly cache: string;
  readonly usedBytes: number;
  readonly totalBytes: number;
}

/** An allocation site of memory allocation profiling. */
export interface SiteShown {
  readonly site: string;
  readonly calls: number;
  /** Rounded to three digits by the kernel. */
  readonly aboutBytes: number;
}

/** What the report of an OOM has beyond its figures. */
export interface OomReport {
  /** In the order in which they were killed. */
  readonly victims: readonly OomVictim[];
  /** The invoker's stack. */
  readonly stack: readonly PrintedFrame[];
  /** Counters of the whole machine by the kernel's names, in pages. */
  readonly pages: Readonly<Record<string, number>>;
  readonly zones: readonly ZoneShown[];
  /** The largest by RSS, page tables and swap. */
  readonly tasks: readonly ListedTask[];
  readonly byName: readonly TaskGroup[];
  readonly memcgs: readonly MemcgCounters[];
  readonly slabs: readonly SlabShown[];
  readonly sites: readonly SiteShown[];
}
