import type { CategoryName } from '../../records/categories.js';
import type { MemoryCounters } from '../../records/machine-sample.js';
import { lackingVmalloc } from '../../records/meminfo-lines.js';
import type { FrameNote } from './answer.js';
import { categoryOfCaller, takesStacks } from './areas.js';
import type { MachineLists } from './details.js';
import { counterSlack, freeCounts, MAX_ON_CPU, type ProcCounter, procCounters } from './proc-counters.js';

/** Page flags of all frames (/proc/kpageflags), counted; all in frames. */
export interface FlaggedFrames {
  readonly kinds: Readonly<Record<FrameKind, number>>;
  /** Reserved frames in the kernel image, and for the crash kernel. */
  readonly image: number;
  readonly crashKernel: number;
  readonly unread: number;
  readonly whyUnread: string | undefined;
  readonly notes: readonly {
    readonly note: FrameNote['note'];
    readonly kind: FrameKind | 'hole';
    readonly frames: number;
  }[];
  readonly unflagged: {
    /** Compound pages by order; single pages have order 0. */
    readonly blocks: ReadonlyMap<number, number>;
    readonly zones: ReadonlyMap<string, number>;
    readonly charged: number | undefined;
    readonly mapped: number;
  };
}

export type FrameKind = (typeof FRAME_KINDS)[number];

export const FRAME_KINDS = [
  'free',
  'slab',
  'page-table',
  'offline',
  'reserved',
  'hugetlb',
  'swap-cache',
  'anonymous',
  'file',
  'shmem',
  'none',
  'torn',
] as const;

/** A machine as root sees it without access to kernel memory. */
export interface FlaggedMachine extends MachineLists {
  /** Counters before and after the flags were read. */
  readonly before: MemoryCounters;
  readonly after: MemoryCounters;
  readonly frames: FlaggedFrames;
}

/** Frames of a category, and their source. */
export interface Part {
  readonly frames: number;
  readonly known: 'flags' | 'counter';
  /** Why it is incomplete. */
  readonly why?: string;
  /** Frames that flags alone show, where a counter corrects them. */
  readonly flagFrames?: number;
}

/** Frames by category; frames that neither flags nor counters identify are left out. */
export type Split = Map<CategoryName, Part>;

/**
 * Puts frames into categories by their flags. Frames that flags do not distinguish are split by exact
 * counters: per-CPU free lists, vmalloc areas, zsmalloc, GPUs and struct pages have no flags. If the counters
 * exceed these frames, nothing is split.
 */
export function splitFrames(machine: FlaggedMachine): Split {
  const { kinds } = machine.frames;
  const split: Split = new Map();
  const flags = (category: CategoryName, frames: number) => split.set(category, { frames, known: 'flags' });
  flags('free-buddy', kinds.free);
  flags('page-tables', kinds['page-table']);
  flags('balloon', kinds.offline);
  flags('hugetlb', kinds.hugetlb);
  flags('swap-cache', kinds['swap-cache']);
  flags('anonymous', kinds.anonymous);
  const zspages = zspagesAmongFiles(machine);
  const why = `${zspages} pages with the flags of files are compressed memory: the kernel counts both`;
  if (zspages === 0) flags('page-cache', kinds.file);
  else split.set('page-cache', { frames: kinds.file - zspages, known: 'counter', flagFrames: kinds.file, why });
  flags('shared', kinds.shmem);
  splitSlabs(machine, split);
  splitReserved(machine, split);
  splitUnflagged(machine, split);
  return split;
}

/** Both kinds of slabs have one flag; the kernel counts one of them, in complete slabs. */
function splitSlabs({ frames, after }: FlaggedMachine, split: Split): void {
  const { slab } = frames.kinds;
  const counter = procCounters(after).get('slab-reclaimable');
  const pages = counter?.state === 'counted' ? counter.bytes / after.pageSize : undefined;
  if (pages !== undefined && pages <= slab) {
    split.set('slab-reclaimable', { frames: pages, known: 'counter' });
    split.set('slab-unreclaimable', { frames: slab - pages, known: 'counter' });
    return;
  }
  const why =
    pages !== undefined
      ? `SReclaimable counts ${pages} pages, but page flags show only ${slab} slab pages; all are counted as unreclaimable`
      : (counter?.why ?? 'no counter of reclaimable slabs; all are counted as unreclaimable');
  split.set('slab-reclaimable', { frames: 0, known: 'counter', why });
  split.set('slab-unreclaimable', { frames: slab, known: 'flags', why });
}

/**
 * Frames that the boot reserved within memory that is not initialized yet: their struct pages do not show it.
 * Zones count them as present, MemTotal does not.
 */
function reservedUnflagged({ frames, after }: FlaggedMachine): number {
  const { uninitialized = 0 } = freeCounts(after) ?? {};
  const total = after.meminfo.get('MemTotal');
  if (uninitialized === 0 || total === undefined || after.present === undefined) return 0;
  const lacking = (after.present - total) / after.pageSize - frames.kinds.reserved;
  return lacking > 0 && lacking <= frames.kinds.none ? lacking : 0;
}

function splitReserved(machine: FlaggedMachine, split: Split): void {
  const { frames, after } = machine;
  const { image, crashKernel, kinds } = frames;
  split.set('image', { frames: image, known: 'flags' });
  split.set('crash-kernel', { frames: crashKernel, known: 'flags' });
  const rest = kinds.reserved + reservedUnflagged(machine) - image - crashKernel;
  const boot = (after.memmap?.boot ?? 0) / after.pageSize;
  if (boot > 0 && boot <= rest) split.set('memmap', { frames: boot, known: 'counter' });
  else if (boot > 0)
    split.set('memmap', {
      frames: 0,
      known: 'counter',
      why: `the kernel counts ${boot} pages of it, but only ${rest} other pages are reserved; counted as other reserved or unattributed`,
    });
  const memmap = split.get('memmap')?.frames ?? 0;
  split.set('reserved-other', { frames: rest - memmap, known: 'flags' });
}

/**
 * Frames by which page flags exceed the counter of page cache, up to the counter of zsmalloc: flags do not tell whose
 * pages those of zsmalloc are. Less than both counters moved during the scan is no such difference.
 */
function zspagesAmongFiles({ frames, before, after }: FlaggedMachine): number {
  const [earlier, later] = [before, after].map((counts) => {
    const counters = procCounters(counts);
    return ['page-cache' as const, 'compressed' as const].map((name) => {
      const counter = counters.get(name);
      return counter?.state === 'counted' ? counter.bytes / after.pageSize : undefined;
    });
  });
  const [[cacheBefore, zBefore] = [], [cacheAfter, zAfter] = []] = [earlier, later];
  if (cacheBefore === undefined || cacheAfter === undefined || zBefore === undefined || zAfter === undefined) return 0;
  const drift = Math.abs(cacheAfter - cacheBefore) + Math.abs(zAfter - zBefore) + counterSlack(after) / after.pageSize;
  const excess = frames.kinds.file - Math.max(cacheBefore, cacheAfter);
  return excess > drift ? Math.min(Math.round(excess), zAfter) : 0;
}

function splitUnflagged(machine: FlaggedMachine, split: Split): void {
  const none = splitUninitialized(machine, split) + zspagesAmongFiles(machine);
  const claims = claimsOf(machine);
  const all = () => [...claims.values()].reduce((sum, { frames }) => sum + frames, 0);
  // Flags do not tell the pages of per-CPU lists, whose number may have changed during the scan.
  const { before, after } = machine;
  const moved = Math.abs((after.onCpus ?? 0) - (before.onCpus ?? 0)) / after.pageSize;
  const [over, lists] = [all() - none, claims.get('free-cpu-lists')];
  if (lists && over > 0 && over <= Math.min(lists.frames, moved))
    claims.set('free-cpu-lists', { ...lists, frames: lists.frames - over });
  const sum = all();
  if (sum <= none) {
    for (const [category, part] of claims) {
      const known = split.get(category);
      split.set(category, known ? { ...part, frames: known.frames + part.frames } : part);
    }
    split.set('unattributed', { frames: none - sum, known: 'flags', ...initializedDuringScan(machine) });
    return;
  }
  const why = `${none} pages have no flags, fewer than the ${sum} that the counters in /proc report for kernel memory without flags; all ${none} are counted as unattributed`;
  for (const category of claims.keys())
    if (category !== 'memmap') split.set(category, { frames: 0, known: 'counter', why });
  split.set('unattributed', { frames: none, known: 'flags', why });
}

/**
 * Separates memory without initialized struct pages from other frames without flags. It only shrinks, so it
 * cannot distort other counters.
 *
 * @returns the other frames
 */
function splitUninitialized(machine: FlaggedMachine, split: Split): number {
  const { none } = machine.frames.kinds;
  const { pageSize } = machine.after;
  const free = (freeCounts(machine.after)?.uninitialized ?? 0) / pageSize;
  const rest = none - reservedUnflagged(machine) - free;
  if (rest >= 0) {
    split.set('free-uninitialized', { frames: free, known: 'counter' });
    return rest;
  }
  const why = `the kernel has not initialized ${free} pages, but only ${none} pages have no flags; all are counted as unattributed`;
  split.set('free-uninitialized', { frames: 0, known: 'counter', why });
  return none - reservedUnflagged(machine);
}

/** Returns a note on pages that the kernel initialized during the scan, which are counted twice. */
function initializedDuringScan({ before, after }: FlaggedMachine): Pick<Part, 'why'> {
  const [earlier, later] = [before, after].map((counters) => freeCounts(counters)?.uninitialized ?? 0);
  const pages = ((earlier ?? 0) - (later ?? 0)) / after.pageSize;
  if (pages <= 0) return {};
  return { why: `the kernel initialized ${pages} pages during the scan; free pages may be included` };
}

const NO_SIZE = 'not counted';

/** Counters of frames without flags. */
function claimsOf(machine: FlaggedMachine): Map<CategoryName, Part> {
  const { after } = machine;
  const claims = new Map<CategoryName, Part>();
  const counters = procCounters(after);
  for (const category of ['free-cpu-lists', 'free-unaccepted', 'compressed', 'gpu'] as const) {
    const counter = counters.get(category);
    if (!counter) continue;
    const { state, bytes, why = NO_SIZE } = counter;
    if (state === 'counted') claims.set(category, { frames: bytes / after.pageSize, known: 'counter' });
    else claims.set(category, { frames: 0, known: 'counter', why });
  }
  const zfs = counters.get('zfs-arc');
  if (zfs) claims.set('zfs-arc', after.zfs && after.zfs.pages === undefined ? notSplit(zfs) : partOf(zfs, after));
  // Since 5.1 each driver marks its pages (PG_offline); before, only a counter has them.
  const unmarked = (after.balloon?.least ?? 0) / after.pageSize - machine.frames.kinds.offline;
  if (unmarked > counterSlack(after) / after.pageSize)
    claims.set('balloon', { frames: Math.round(unmarked), known: 'counter' });
  const later = after.memmap?.later ?? 0;
  if (later > 0) claims.set('memmap', { frames: later / after.pageSize, known: 'counter' });
  for (const [category, part] of mappedParts(machine)) claims.set(category, part);
  return claims;
}

const partOf = ({ bytes, state, why }: ProcCounter, { pageSize }: MemoryCounters): Part => ({
  frames: Math.round(bytes / pageSize),
  known: 'counter',
  ...(state === 'counted' || why === undefined ? {} : { why }),
});
const notSplit = ({ why = NO_SIZE }: ProcCounter): Part => ({ frames: 0, known: 'counter', why });

const IN_VMALLOC = ['kernel-stacks', 'modules', 'bpf', 'vmalloc'] as const;

/** Splits vmalloc memory into stacks, modules, BPF and other uses, by caller. */
function mappedParts({ vmalloc, before, after }: FlaggedMachine): Map<CategoryName, Part> {
  const nothing = (why: string) =>
    new Map(IN_VMALLOC.map((category) => [category, { frames: 0, known: 'counter', why }] as const));
  if ('why' in vmalloc) return nothing(vmalloc.why);
  const pages = new Map<CategoryName, number>(IN_VMALLOC.map((category) => [category, 0]));
  for (const [caller, count] of vmalloc.list) {
    const category = takesStacks(caller) ? 'kernel-stacks' : categoryOfCaller(caller);
    pages.set(category, (pages.get(category) ?? 0) + count);
  }
  const all = [...pages.values()].reduce((sum, count) => sum + count, 0);
  // Before 5.3 it does not count pages.
  const used = lackingVmalloc(after.meminfo, after.printed) ? undefined : after.meminfo.get('VmallocUsed');
  const earlier = before.meminfo.get('VmallocUsed') ?? used;
  if (used !== undefined && earlier !== undefined) {
    const slack = Math.abs(used - earlier) / after.pageSize + MAX_ON_CPU * after.cpus;
    const counted = used / after.pageSize;
    if (Math.abs(all - counted) > slack)
      return nothing(
        `VmallocUsed counts ${counted} pages, but /proc/vmallocinfo lists ${all}; all are counted as unattributed`,
      );
  }
  return withStacks(pages, before, after);
}

/** Adds stacks that CPUs cache for the next thread to vmalloc, since no thread owns them. */
function withStacks(
  pages: ReadonlyMap<CategoryName, number>,
  before: MemoryCounters,
  after: MemoryCounters,
): Map<CategoryName, Part> {
  const areas = pages.get('kernel-stacks') ?? 0;
  const inPages = ({ meminfo, pageSize }: MemoryCounters, otherwise: number) =>
    (meminfo.get('KernelStack') ?? otherwise * pageSize) / pageSize;
  const counted = inPages(after, areas);
  const stacks = Math.min(areas, counted);
  // A CPU keeps up to MAX_ON_CPU KiB to itself before it adds them (NR_KERNEL_STACK_KB, mm/vmstat.c).
  const slack = Math.abs(counted - inPages(before, counted)) + (MAX_ON_CPU * 1024 * after.cpus) / after.pageSize;
  const isLacking = areas === 0 ? counted > 0 : counted - areas > slack;
  const lacks = isLacking
    ? `KernelStack counts ${counted} pages, but /proc/vmallocinfo lists ${areas}; the rest is counted as unattributed`
    : undefined;
  const parts = new Map<CategoryName, Part>();
  for (const [category, frames] of pages) parts.set(category, { frames, known: 'counter' });
  parts.set('kernel-stacks', { frames: stacks, known: 'counter', ...(lacks === undefined ? {} : { why: lacks }) });
  const vmalloc = (pages.get('vmalloc') ?? 0) + areas - stacks;
  parts.set('vmalloc', { frames: vmalloc, known: 'counter' });
  return parts;
}
