import type { MemoryJson } from '../../contracts/memory.js';
import { CATEGORIES, type CategoryName } from '../../records/categories.js';
import type { MemoryCounters } from '../../records/machine-sample.js';
import { type LackingLine, lackingLine, lackingVmalloc } from '../../records/meminfo-lines.js';
import type { Balloon } from '../../records/named-memory.js';

/** Definition of a category by lines of /proc/meminfo, without overlapping counters. */
interface Formula {
  /** Required lines; without them the category is not counted. */
  readonly plus?: readonly string[];
  /** Lines that some kernels lack; they count as 0 there. */
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
  percpu: { plus: ['Percpu'] },
  balloon: { maybe: ['Balloon'] },
  gpu: { maybe: ['GPUActive', 'GPUReclaim'] },
};

/** A category by counters, in bytes. */
export interface ProcCounter {
  /** The counted part; 0 if nothing of it is counted. */
  readonly bytes: number;
  /** Bounds: counters overlap, change between reads, or are missing. */
  readonly least: number;
  readonly most: number;
  /**
   * `counted`; `uncounted`: the kernel does not count it, so its pages remain in unattributed memory; `unsure`: the
   * same, unless the text is cut; `missing`: its size is not in the text, or malformed.
   */
  readonly state: 'counted' | LackingLine['state'];
  /** Why it is not known exactly. */
  readonly why?: string;
  /** The line that is missing. */
  readonly line?: string;
  /** Contradiction of counters, which is a warning. */
  readonly isContradictory?: true;
}

/** Maximum difference of a counter on each CPU, in pages (mm/vmstat.c: threshold). */
export const MAX_ON_CPU = 125;

/** Share of RAM that may come and go between two reads without a visible change of a counter. */
const MOVES = 1 / 200;

/** Returns the bytes by which two counts of the same memory may differ on a running machine. */
export function counterSlack({ present, pageSize, cpus }: MemoryCounters): number {
  return pageSize * Math.ceil(Math.max(MAX_ON_CPU * cpus, ((present ?? 0) / pageSize) * MOVES));
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
  const counters = new Map<CategoryName, ProcCounter>();
  for (const category of CATEGORIES) {
    const formula = FORMULAS[category];
    const counter = formula && byFormula(formula, counted);
    if (counter) counters.set(category, counter);
    // Older kernels accept all memory at boot.
    else if (category === 'free-unaccepted') counters.set(category, exactly(0));
  }
  const stacks = counters.get('kernel-stacks');
  counters.set('vmalloc', vmallocCounter(counted, stacks));
  const pages = counters.get('anonymous');
  const swapped = counters.get('swap-cache')?.bytes ?? 0;
  if (pages?.state === 'counted' && swapped > 0) {
    const why = 'mapped pages in the swap cache are counted twice';
    const least = Math.max(0, pages.bytes - swapped);
    counters.set('anonymous', { ...pages, least, why });
    counters.set('swap-cache', { ...exactly(swapped), why });
  }
  setFree(counters, counted);
  counters.set('free-cpu-lists', cpuListsCounter(counted));
  const unread = counted.unreadCounters?.find(({ kind }) => kind === 'balloon');
  if (unread) counters.set('balloon', unknown({ state: 'uncounted', why: unread.why }));
  else if (counted.balloon) counters.set('balloon', balloonCounter(counted, counted.balloon));
  counters.set('zfs-arc', zfsCounter(counted));
  if (counted.compressed !== undefined) counters.set('compressed', exactly(counted.compressed));
  return counters;
}

/** A category that one counter counts. */
export function exactly(bytes: number): ProcCounter {
  return { bytes, least: bytes, most: bytes, state: 'counted' };
}

/** @param part bounds of the part that is known */
function unknown({ state, why }: LackingLine, part: Partial<ProcCounter> = {}): ProcCounter {
  const { bytes = 0, least = bytes, most = Number.POSITIVE_INFINITY } = part;
  return { ...part, bytes, least, most, state, why };
}

function malformed(name: string, { damaged }: MemoryCounters): ProcCounter {
  return unknown({ state: 'missing', why: `/proc/meminfo says “${damaged.get(name)}” of ${name}` });
}

/** Undefined: this kernel has no such line, and no part of the category is known. */
function byFormula({ plus = [], maybe = [], minus = [] }: Formula, counted: MemoryCounters): ProcCounter | undefined {
  const { meminfo, damaged, printed } = counted;
  const lines = [...plus, ...maybe, ...minus];
  const broken = lines.find((name) => damaged.has(name));
  if (broken !== undefined) return malformed(broken, counted);
  const sum = (names: readonly string[]) => names.reduce((all, name) => all + (meminfo.get(name) ?? 0), 0);
  const lacking = (names: readonly string[]) =>
    names.flatMap((line) => (meminfo.has(line) ? [] : [{ line, ...lackingLine(line, printed) }]));
  const [first] = lacking(plus);
  if (first) return unknown(first, { line: first.line });
  const bytes = sum([...plus, ...maybe]);
  const rest = bytes - sum(minus);
  const part = lacking(maybe).find(({ state }) => state !== 'uncounted');
  const overlap = lacking(minus).find(({ state }) => state !== 'uncounted');
  if (part) return unknown(part, { bytes: Math.max(0, rest), ...(overlap ? { least: 0 } : {}), line: part.line });
  if (overlap) return unknown(overlap, { bytes, least: 0, most: bytes, line: overlap.line });
  if (plus.length === 0 && lacking(maybe).length === maybe.length) return undefined;
  if (rest >= 0) return exactly(rest);
  const why = `${minus.join(' and ')} exceeds ${lines.filter((name) => !minus.includes(name)).join(' and ')} by ${-rest} bytes`;
  // Counters of CPUs are merged at different times.
  if (-rest <= counterSlack(counted)) return { ...exactly(0), most: counterSlack(counted), why };
  return { ...unknown({ state: 'missing', why }), isContradictory: true };
}

/** Thread stacks are part of VmallocUsed if the kernel maps them (CONFIG_VMAP_STACK). */
function vmallocCounter(counted: MemoryCounters, stacks: ProcCounter | undefined): ProcCounter {
  const { meminfo, printed, damaged } = counted;
  const broken = ['VmallocUsed', 'VmallocChunk'].find((name) => damaged.has(name));
  if (broken !== undefined) return malformed(broken, counted);
  const used = meminfo.get('VmallocUsed');
  const lacking = lackingVmalloc(meminfo, printed);
  // Without VmallocChunk, pages or address space: at most that much memory.
  const most = used ?? Number.POSITIVE_INFINITY;
  if (lacking) return unknown(lacking, lacking.state === 'uncounted' ? {} : { most, line: 'VmallocUsed' });
  if (stacks?.state === 'missing') return unknown({ state: 'missing', why: stacks.why ?? '' }, { most });
  const without = most - (stacks?.bytes ?? 0);
  // Fewer pages than stacks: the kernel does not map stacks.
  const bytes = without < 0 ? most : without;
  return { ...exactly(bytes), least: Math.max(0, without), most };
}

/** Minimum share of present memory that zones never manage: struct pages of 64 bytes for each 4 KiB. */
const MEMMAP_SHARE = 0.015;

/**
 * The part of a balloon that MemTotal contains. Drivers that lower the number of managed pages take their pages out of
 * MemTotal, where zones still count them as present (adjust_managed_page_count).
 */
function balloonCounter(counted: MemoryCounters, { bytes, least, isInTotal }: Balloon): ProcCounter {
  if (isInTotal === false) return exactly(0);
  if (isInTotal === true) return { ...exactly(bytes), least, ...(least < bytes ? { why: 'its counters differ' } : {}) };
  const { present, meminfo } = counted;
  const why = 'whether MemTotal includes the balloon is unknown';
  if (present === undefined) return { ...exactly(bytes), least: 0, why };
  // More than what is outside of MemTotal must be inside.
  const outside = Math.max(0, present - (meminfo.get('MemTotal') ?? 0) - MEMMAP_SHARE * present);
  const inside = Math.max(0, least - Math.ceil(outside));
  return { ...exactly(inside > 0 ? bytes : 0), least: inside, most: bytes, why };
}

/** Pages of ZFS's cache that no counter of the kernel includes. */
function zfsCounter({ zfs, unreadCounters = [] }: MemoryCounters): ProcCounter {
  const unread = unreadCounters.find(({ kind }) => kind === 'zfs-arc');
  if (unread) return unknown({ state: 'uncounted', why: unread.why });
  if (!zfs) return exactly(0);
  if (zfs.pages !== undefined) return exactly(zfs.pages);
  const why = 'ZFS does not report how much of its data is in slab caches or vmalloc (no abdstats)';
  return { ...exactly(zfs.mostPages), least: 0, why };
}

/** Adds the free pages of zones, and memory that is not initialized yet. */
function setFree(counters: Map<CategoryName, ProcCounter>, counted: MemoryCounters): void {
  const free = freeCounts(counted);
  const buddy = counters.get('free-buddy');
  if (!free) return;
  const { uninitialized, inZones } = free;
  counters.set('free-uninitialized', exactly(uninitialized));
  if (!buddy || !counted.meminfo.has('MemFree')) return;
  const bytes = Math.max(0, buddy.bytes - uninitialized);
  const conflict = zonesConflict(counted);
  // Zones count the same memory: the unaccepted part is subtracted from both.
  const zones = conflict && inZones !== undefined ? bytes + inZones - free.counted : bytes;
  // Whether a part of it is unaccepted may be unknown.
  const least = buddy.state === 'counted' ? Math.max(0, Math.min(bytes, zones)) : 0;
  const bounds = { least, most: Math.max(bytes, zones) };
  counters.set('free-buddy', { ...buddy, bytes, ...bounds, ...(conflict ? { why: conflictWhy(conflict) } : {}) });
}

/** Since 6.7 the lists may have an eighth of a zone (high_max, MIN_PERCPU_PAGELIST_HIGH_FRACTION of mm/page_alloc.c). */
const MAX_ON_LISTS = 1 / 8;

/** Per-CPU free lists; read in another second than MemFree, they may be shorter or longer. */
function cpuListsCounter(counted: MemoryCounters): ProcCounter {
  const { onCpus, whyNoZones, meminfo } = counted;
  const limit = (meminfo.get('MemTotal') ?? 0) * MAX_ON_LISTS;
  if (onCpus === undefined)
    return unknown({ state: 'uncounted', why: whyNoZones ?? 'zoneinfo does not list all CPUs' }, { most: limit });
  const { counted: free, inZones } = freeCounts(counted) ?? {};
  const moved = free === undefined || inZones === undefined ? limit : Math.abs(free - inZones);
  return { ...exactly(onCpus), least: 0, most: onCpus + Math.max(moved, counterSlack(counted)) };
}

/** Returns the total difference between counters, in bytes. */
export function counterDrift(before: MemoryCounters, after: MemoryCounters): number {
  const later = procCounters(after);
  let bytes = 0;
  for (const [category, counter] of procCounters(before)) {
    const other = later.get(category);
    if (counter.state === 'counted' && other?.state === 'counted') bytes += Math.abs(other.bytes - counter.bytes);
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
  const source = foundBy === 'counters' ? 'zones count' : 'page flags show';
  return `${source} ${foundBytes} free bytes, and MemFree counts ${countedBytes}`;
}
