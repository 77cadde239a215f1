import type { MemoryCounters } from '../../records/memory-counters.js';
import { CATEGORIES, type CategoryName } from './categories.js';

/** A category by lines of /proc/meminfo, with what counters have in common taken apart. */
interface Formula {
  /** Without these the category is not counted. */
  readonly plus?: readonly string[];
  /** The same, but a kernel that does not show it has none. */
  readonly maybe?: readonly string[];
  readonly minus?: readonly string[];
}

/** Which lines of /proc/meminfo a category is made of (fs/proc/meminfo.c). */
const FORMULAS: Readonly<Partial<Record<CategoryName, Formula>>> = {
  // What a confidential guest has not accepted yet counts as free (6.5).
  'free-buddy': { plus: ['MemFree'], minus: ['Unaccepted'] },
  'free-unaccepted': { maybe: ['Unaccepted'] },
  anonymous: { plus: ['AnonPages'] },
  shared: { plus: ['Shmem'] },
  'swap-cache': { plus: ['SwapCached'] },
  // Shared memory is in Cached.
  'page-cache': { plus: ['Cached'], maybe: ['Buffers'], minus: ['Shmem'] },
  hugetlb: { plus: ['Hugetlb'] },
  'slab-reclaimable': { plus: ['SReclaimable'] },
  'slab-unreclaimable': { plus: ['SUnreclaim'] },
  'page-tables': { plus: ['PageTables'], maybe: ['SecPageTables'] },
  'kernel-stacks': { plus: ['KernelStack'] },
  // Stacks lie in vmalloc's address space.
  vmalloc: { plus: ['VmallocUsed'], minus: ['KernelStack'] },
  percpu: { plus: ['Percpu'] },
  balloon: { maybe: ['Balloon'] },
  gpu: { maybe: ['GPUActive', 'GPUReclaim'] },
};

/** Bytes of a category, or why they cannot be had though there is a counter. */
export type ProcCounter = { readonly bytes: number } | { readonly why: string };

/** Counters differ by so many pages of what they count on each CPU (mm/vmstat.c: threshold). */
export const MOST_ON_CPU = 125;

/** So much of RAM may come and go between two reads without a counter showing it before or after. */
const MOVES = 1 / 200;

/** Bytes by which two counts of the same memory may differ on a running machine. */
export function counterSlack({ present, pageSize, cpus }: MemoryCounters): number {
  return pageSize * Math.ceil(Math.max(MOST_ON_CPU * cpus, ((present ?? 0) / pageSize) * MOVES));
}

/** Free memory as two counters of the kernel have it; bytes. */
export interface FreeCounts {
  /** MemFree, without memory whose struct pages are not initialized. */
  readonly counted: number;
  /** Free pages of all zones; undefined: zones do not count them. */
  readonly inZones: number | undefined;
  /** MemTotal and MemFree have it, and no zone manages it yet (deferred_init). */
  readonly uninitialized: number;
}

/**
 * Returns free memory apart from memory that the kernel has not initialized: by as much as MemTotal exceeds the
 * managed pages of all zones, MemFree exceeds their free pages. Where only one of the two is so, nothing is
 * taken as uninitialized.
 */
export function freeCounts(counts: MemoryCounters): FreeCounts | undefined {
  const { meminfo, managed, zoneFree } = counts;
  const [total, free] = [meminfo.get('MemTotal'), meminfo.get('MemFree')];
  if (free === undefined) return undefined;
  const plain = { counted: free, inZones: zoneFree, uninitialized: 0 };
  if (total === undefined || managed === undefined || zoneFree === undefined) return plain;
  const [unmanaged, beyond] = [total - managed, free - zoneFree];
  const isBoth =
    unmanaged > 0 &&
    Math.abs(beyond - unmanaged) <= counterSlack(counts) &&
    // Nearer to all of it than to nothing.
    2 * beyond > unmanaged;
  return isBoth ? { ...plain, counted: free - unmanaged, uninitialized: unmanaged } : plain;
}

/** Of each category that /proc counts what it says; of others nothing. */
export function procCounters(counted: MemoryCounters): Map<CategoryName, ProcCounter> {
  const { meminfo, damaged, onCpus, compressed } = counted;
  const found = new Map<CategoryName, ProcCounter>();
  for (const category of CATEGORIES) {
    const formula = FORMULAS[category];
    if (!formula) continue;
    const { plus = [], maybe = [], minus = [] } = formula;
    const broken = [...plus, ...maybe, ...minus].find((name) => damaged.has(name));
    if (broken !== undefined) {
      const why = `/proc/meminfo says “${damaged.get(broken)}” of ${broken}`;
      found.set(category, { why });
    } else if (plus.every((name) => meminfo.has(name))) {
      const sum = (names: readonly string[]) =>
        names.reduce((all, name) => all + (meminfo.get(name) ?? 0), 0);
      found.set(category, { bytes: sum([...plus, ...maybe]) - sum(minus) });
    }
  }
  const free = freeCounts(counted);
  const buddy = found.get('free-buddy');
  if (free && buddy && 'bytes' in buddy)
    found.set('free-buddy', { bytes: buddy.bytes - free.uninitialized });
  if (free) found.set('free-uninitialized', { bytes: free.uninitialized });
  if (onCpus !== undefined) found.set('free-cpu-lists', { bytes: onCpus });
  else
    found.set('free-cpu-lists', { why: counted.whyNoZones ?? 'zoneinfo does not list all CPUs' });
  if (compressed !== undefined) found.set('compressed', { bytes: compressed });
  return found;
}

/** By how much counters differ, all together; bytes. */
export function counterDrift(before: MemoryCounters, after: MemoryCounters): number {
  const later = procCounters(after);
  let bytes = 0;
  for (const [category, counter] of procCounters(before)) {
    const other = later.get(category);
    if ('bytes' in counter && other && 'bytes' in other)
      bytes += Math.abs(other.bytes - counter.bytes);
  }
  return bytes;
}
