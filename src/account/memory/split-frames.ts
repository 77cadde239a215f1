import type { CategoryName } from './categories.js';
import type { FlaggedMachine } from './flagged-machine.js';
import { freeCounts, MOST_ON_CPU, procCounters } from './proc-counters.js';
import { categoryOfCaller, takesStacks } from './vmalloc-callers.js';

/** Frames of a category, and how they are known. */
export interface Part {
  readonly frames: number;
  readonly known: 'flags' | 'counter';
  /** Why it is not whole. */
  readonly why?: string;
}

/** Frames of categories: of those that neither flags nor counters tell of there is nothing. */
export type Split = Map<CategoryName, Part>;

/**
 * Puts frames into categories by what their flags say, and splits what flags have in common by counters
 * where these are exact: lists of CPUs, vmalloc's areas, zsmalloc and struct pages are among the frames
 * that no flag tells of, whatever else is. Where counters say more than there are frames, nothing is split.
 */
export function splitFrames(machine: FlaggedMachine): Split {
  const { kinds } = machine.frames;
  const split: Split = new Map();
  const flags = (category: CategoryName, frames: number) =>
    split.set(category, { frames, known: 'flags' });
  flags('free-buddy', kinds.free);
  flags('page-tables', kinds['page-table']);
  flags('balloon', kinds.offline);
  flags('hugetlb', kinds.hugetlb);
  flags('swap-cache', kinds['swap-cache']);
  flags('anonymous', kinds.anonymous);
  flags('page-cache', kinds.file);
  flags('shared', kinds.shmem);
  splitSlabs(machine, split);
  splitReserved(machine, split);
  splitUnflagged(machine, split);
  return split;
}

/** Both kinds of slabs have one flag; what the kernel counts of the one it counts by whole slabs. */
function splitSlabs({ frames, after }: FlaggedMachine, split: Split): void {
  const { slab } = frames.kinds;
  const counter = procCounters(after).get('slab-reclaimable');
  const pages = counter && 'bytes' in counter ? counter.bytes / after.pageSize : undefined;
  if (pages !== undefined && pages <= slab) {
    split.set('slab-reclaimable', { frames: pages, known: 'counter' });
    split.set('slab-unreclaimable', { frames: slab - pages, known: 'counter' });
    return;
  }
  const why =
    pages !== undefined
      ? `SReclaimable counts ${pages} pages, but page flags show only ${slab} slab pages; all are counted as unreclaimable`
      : counter && 'why' in counter
        ? counter.why
        : 'no counter of reclaimable slabs; all are counted as unreclaimable';
  split.set('slab-reclaimable', { frames: 0, known: 'counter', why });
  split.set('slab-unreclaimable', { frames: slab, known: 'flags', why });
}

/**
 * Frames that the boot reserved within memory that is not initialized yet: their struct pages do not say so.
 * Zones have them as present, and MemTotal is without them.
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

function splitUnflagged(machine: FlaggedMachine, split: Split): void {
  const none = splitUninitialized(machine, split);
  const claims = claimsOf(machine);
  const sum = [...claims.values()].reduce((all, { frames }) => all + frames, 0);
  if (sum <= none) {
    for (const [category, part] of claims) {
      const known = split.get(category);
      split.set(category, known ? { ...part, frames: known.frames + part.frames } : part);
    }
    split.set('unattributed', { frames: none - sum, known: 'flags', ...initializedAmid(machine) });
    return;
  }
  const why = `counters claim ${sum} pages without flags, but only ${none} exist; all are counted as unattributed`;
  for (const category of claims.keys())
    if (category !== 'memmap') split.set(category, { frames: 0, known: 'counter', why });
  split.set('unattributed', { frames: none, known: 'flags', why });
}

/**
 * Memory without initialized struct pages apart from other frames that no flag tells of: it moves in one direction
 * only, so that no other counter spoils it.
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

/** Pages that the kernel initialized while flags were read count twice. */
function initializedAmid({ before, after }: FlaggedMachine): Pick<Part, 'why'> {
  const [earlier, later] = [before, after].map((one) => freeCounts(one)?.uninitialized ?? 0);
  const pages = ((earlier ?? 0) - (later ?? 0)) / after.pageSize;
  if (pages <= 0) return {};
  return {
    why: `the kernel initialized ${pages} pages during the scan; free pages may be included`,
  };
}

/** What counters tell of frames without flags. */
function claimsOf(machine: FlaggedMachine): Map<CategoryName, Part> {
  const { after } = machine;
  const claims = new Map<CategoryName, Part>();
  const counters = procCounters(after);
  for (const category of ['free-cpu-lists', 'free-unaccepted', 'compressed'] as const) {
    const counter = counters.get(category);
    if (!counter) continue;
    if ('why' in counter) claims.set(category, { frames: 0, known: 'counter', why: counter.why });
    else claims.set(category, { frames: counter.bytes / after.pageSize, known: 'counter' });
  }
  const later = after.memmap?.later ?? 0;
  if (later > 0) claims.set('memmap', { frames: later / after.pageSize, known: 'counter' });
  for (const [category, part] of mappedParts(machine)) claims.set(category, part);
  return claims;
}

const IN_VMALLOC = ['kernel-stacks', 'modules', 'bpf', 'vmalloc'] as const;

/** Stacks, modules, BPF and all else in vmalloc's address space, by who asked for it. */
function mappedParts({ vmalloc, before, after }: FlaggedMachine): Map<CategoryName, Part> {
  const nothing = (why: string) =>
    new Map(
      IN_VMALLOC.map((category) => [category, { frames: 0, known: 'counter', why }] as const),
    );
  if ('why' in vmalloc) return nothing(vmalloc.why);
  const pages = new Map<CategoryName, number>(IN_VMALLOC.map((category) => [category, 0]));
  for (const [caller, count] of vmalloc.list) {
    const category = takesStacks(caller) ? 'kernel-stacks' : categoryOfCaller(caller);
    pages.set(category, (pages.get(category) ?? 0) + count);
  }
  const all = [...pages.values()].reduce((sum, count) => sum + count, 0);
  const used = after.meminfo.get('VmallocUsed');
  const earlier = before.meminfo.get('VmallocUsed') ?? used;
  if (used !== undefined && earlier !== undefined) {
    const slack = Math.abs(used - earlier) / after.pageSize + MOST_ON_CPU * after.cpus;
    const counted = used / after.pageSize;
    if (Math.abs(all - counted) > slack)
      return nothing(
        `VmallocUsed counts ${counted} pages, but /proc/vmallocinfo lists ${all}; all are counted as unattributed`,
      );
  }
  return withStacks(pages, after.meminfo.get('KernelStack'), after.pageSize);
}

/** Stacks that CPUs keep for the next thread are vmalloc's, as no thread has them. */
function withStacks(
  pages: ReadonlyMap<CategoryName, number>,
  counted: number | undefined,
  pageSize: number,
): Map<CategoryName, Part> {
  const areas = pages.get('kernel-stacks') ?? 0;
  const stacks = counted === undefined ? areas : Math.min(areas, counted / pageSize);
  const lacks =
    counted !== undefined && areas < counted / pageSize
      ? `KernelStack counts ${counted} bytes, but vmalloc has ${areas * pageSize} bytes of stacks; the rest is counted as unattributed`
      : undefined;
  const found = new Map<CategoryName, Part>();
  for (const [category, frames] of pages) found.set(category, { frames, known: 'counter' });
  found.set('kernel-stacks', {
    frames: stacks,
    known: 'counter',
    ...(lacks === undefined ? {} : { why: lacks }),
  });
  const vmalloc = (pages.get('vmalloc') ?? 0) + areas - stacks;
  found.set('vmalloc', { frames: vmalloc, known: 'counter' });
  return found;
}
