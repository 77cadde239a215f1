import type { MemoryJson } from '../../answers/memory/schema.js';
import type { MemoryCounters } from '../../records/machine-sample.js';
import { CATEGORIES, type CategoryName } from './categories.js';

/** Definition of a category by lines of /proc/meminfo, without overlapping counters. */
interface Formula {
  /** Required lines; without them the category is not counted. */
  readonly plus?: readonly string[];
  /** Optional lines, which count as 0 if the kernel lacks them. */
  readonly maybe?: readonly string[];
  readonly minus?: readonly string[];
}

/** Lines of /proc/meminfo that make up a category (fs/proc/meminfo.c). */
const FORMULAS: Readonly<Partial<Record<CategoryName, Formula>>> = {
  // Unaccepted memory of a confidential guest counts as free (6.5).
  'free-buddy': { plus: ['MemFree'], minus: ['Unaccepted'] },
  'free-unaccepted': { maybe: ['Unaccepted'] },
  anonymous: { plus: ['AnonPages'] },
  shared: { plus: ['Shmem'] },
  'swap-cache': { plus: ['SwapCached'] },
  // Cached includes shared memory.
  'page-cache': { plus: ['Cached'], maybe: ['Buffers'], minus: ['Shmem'] },
  hugetlb: { plus: ['Hugetlb'] },
  'slab-reclaimable': { plus: ['SReclaimable'] },
  'slab-unreclaimable': { plus: ['SUnreclaim'] },
  'page-tables': { plus: ['PageTables'], maybe: ['SecPageTables'] },
  'kernel-stacks': { plus: ['KernelStack'] },
  // Stacks are in vmalloc memory.
  vmalloc: { plus: ['VmallocUsed'], minus: ['KernelStack'] },
  percpu: { plus: ['Percpu'] },
  balloon: { maybe: ['Balloon'] },
  gpu: { maybe: ['GPUActive', 'GPUReclaim'] },
};

/** Bytes of a category, or why they are not available although a counter exists. */
export type ProcCounter = { readonly bytes: number } | { readonly why: string };

/** Maximum difference of a counter on each CPU, in pages (mm/vmstat.c: threshold). */
export const MOST_ON_CPU = 125;

/** Share of RAM that may come and go between two reads without a visible change of a counter. */
const MOVES = 1 / 200;

/** Returns the bytes by which two counts of the same memory may differ on a running machine. */
export function counterSlack({ present, pageSize, cpus }: MemoryCounters): number {
  return pageSize * Math.ceil(Math.max(MOST_ON_CPU * cpus, ((present ?? 0) / pageSize) * MOVES));
}

/** Free memory according to two counters of the kernel; bytes. */
export interface FreeCounts {
  /** MemFree, excluding memory without initialized struct pages. */
  readonly counted: number;
  /** Free pages of all zones; undefined if zones do not count them. */
  readonly inZones: number | undefined;
  /** Memory in MemTotal and MemFree that no zone manages yet (deferred_init). */
  readonly uninitialized: number;
}

/**
 * Returns free memory, excluding uninitialized memory. Uninitialized memory exists if MemTotal exceeds the
 * managed pages of all zones, and MemFree exceeds their free pages by about the same amount.
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
    // Closer to all of it than to zero.
    2 * beyond > unmanaged;
  return isBoth ? { ...plain, counted: free - unmanaged, uninitialized: unmanaged } : plain;
}

/** Counters of categories that /proc counts. */
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
      const sum = (names: readonly string[]) => names.reduce((all, name) => all + (meminfo.get(name) ?? 0), 0);
      found.set(category, { bytes: sum([...plus, ...maybe]) - sum(minus) });
    }
  }
  const free = freeCounts(counted);
  const buddy = found.get('free-buddy');
  if (free && buddy && 'bytes' in buddy) found.set('free-buddy', { bytes: buddy.bytes - free.uninitialized });
  if (free) found.set('free-uninitialized', { bytes: free.uninitialized });
  if (onCpus !== undefined) found.set('free-cpu-lists', { bytes: onCpus });
  else found.set('free-cpu-lists', { why: counted.whyNoZones ?? 'zoneinfo does not list all CPUs' });
  if (compressed !== undefined) found.set('compressed', { bytes: compressed });
  return found;
}

/** Returns the total difference between counters, in bytes. */
export function counterDrift(before: MemoryCounters, after: MemoryCounters): number {
  const later = procCounters(after);
  let bytes = 0;
  for (const [category, counter] of procCounters(before)) {
    const other = later.get(category);
    if ('bytes' in counter && other && 'bytes' in other) bytes += Math.abs(other.bytes - counter.bytes);
  }
  return bytes;
}

/** Free memory by page flags or zones, and by MemFree, if they differ by more than drift; bytes. */
export type FreeConflict = NonNullable<MemoryJson['freeConflict']>;

/** Categories whose size is unknown while the amount of free memory is unknown. */
export const DEPENDS_ON_FREE: ReadonlySet<string> = new Set<CategoryName>([
  'free-buddy',
  'free-uninitialized',
  'unattributed',
]);

/** Returns the contradiction between MemFree and the free pages of all zones; undefined if there is none. */
export function zonesConflict(counts: MemoryCounters): FreeConflict | undefined {
  const { counted, inZones } = freeCounts(counts) ?? {};
  if (counted === undefined || inZones === undefined) return undefined;
  if (Math.abs(counted - inZones) <= counterSlack(counts)) return undefined;
  return { foundBy: 'counters', foundBytes: inZones, countedBytes: counted };
}

/** Why a category that depends on free memory is incomplete. */
export function conflictWhy({ foundBy, foundBytes, countedBytes }: FreeConflict): string {
  const found = foundBy === 'counters' ? 'zones count' : 'page flags show';
  return `${found} ${foundBytes} free bytes, and MemFree counts ${countedBytes}`;
}
