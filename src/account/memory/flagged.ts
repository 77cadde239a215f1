import type { CategoryName } from '../../records/categories.js';
import { Warnings } from '../../walk/warnings.js';
import { type Contradiction, type FrameNote, type MemoryAnswer, makeAnswer, type UnflaggedFrames } from './answer.js';
import { dirtyNotes, otherCounters } from './counted.js';
import { detailsOf } from './details.js';
import {
  type FlaggedFrames,
  type FlaggedMachine,
  FRAME_KINDS,
  type FrameKind,
  type Split,
  splitFrames,
} from './flagged-machine.js';
import {
  conflictWhy,
  counterDrift,
  counterSlack,
  DEPENDS_ON_FREE,
  exactly,
  type FreeConflict,
  freeCounts,
  procCounters,
  zonesConflict,
} from './proc-counters.js';
import { type Category, leafTree, makeCategory, type Owner } from './tree.js';

/** Categories that frames identify and that the kernel counts, completely or in part. */
const COMPARED: readonly { readonly category: CategoryName; readonly counts: 'all' | 'some' }[] = [
  { category: 'free-buddy', counts: 'all' },
  { category: 'shared', counts: 'all' },
  { category: 'swap-cache', counts: 'all' },
  { category: 'hugetlb', counts: 'all' },
  // Only mapped pages; truncated file pages keep their flags.
  { category: 'anonymous', counts: 'some' },
  { category: 'page-cache', counts: 'some' },
];

/**
 * Returns the categories that differ from their counters by more than changes during the scan account for.
 */
function disagreements(
  machine: FlaggedMachine,
  frames: ReadonlyMap<CategoryName, { readonly frames: number }>,
): Contradiction[] {
  const { before, after } = machine;
  const [earlier, later] = [procCounters(before), procCounters(after)];
  const contradictions: Contradiction[] = [];
  for (const { category, counts } of COMPARED) {
    const [first, other] = [earlier.get(category), later.get(category)];
    if (first?.state !== 'counted' || other?.state !== 'counted') continue;
    const [from, to] = [first.bytes, other.bytes].map((bytes) => bytes / after.pageSize).sort((a, b) => a - b) as [
      number,
      number,
    ];
    const slack = counterSlack(after) / after.pageSize;
    const ours = frames.get(category)?.frames ?? 0;
    if (ours < from - slack || (counts === 'all' && ours > to + slack))
      contradictions.push({
        category,
        foundBytes: ours * after.pageSize,
        countedBytes: (ours < from ? from : to) * after.pageSize,
        message: `${category}: page flags show ${ours} pages, but the kernel counts ${from === to ? to : `${from} to ${to}`}`,
      });
  }
  const unmanaged = ((after.meminfo.get('MemTotal') ?? 0) - (after.managed ?? 0)) / after.pageSize;
  const isUnknown = unmanaged > 0 && !freeCounts(after)?.uninitialized;
  if (contradictions.length > 0 && after.managed !== undefined && isUnknown)
    contradictions.push({
      category: undefined,
      message: `zones manage ${unmanaged} fewer pages than MemTotal counts; some pages may be in the wrong category`,
    });
  return contradictions;
}

const NO_FLAG = 'not identified by page flags or counters; counted as unattributed';
const AT_BOOT = 'no counter exists; counted as other reserved';
const NETWORK = 'not identified without /proc/kcore; counted as unattributed; skcheck --stale lists unread sockets';
const PER_CPU = 'not identified by page flags; counted as unattributed or, if allocated at boot, as other reserved';
const LARGE = '/proc/kpageflags does not mark these pages; counted as unattributed';

/** Why a category without frames may have some nevertheless. */
const WHY_NO_FRAMES: Partial<Record<CategoryName, string>> = {
  'network-sockets': NETWORK,
  'network-other': NETWORK,
  percpu: PER_CPU,
  'large-kmalloc': LARGE,
  memmap: AT_BOOT,
  secret: 'page flags do not distinguish it from files; counted as page cache',
};

/** Command that shows details of a category. */
const NEXT_COMMANDS: Partial<Record<CategoryName, string>> = {
  'slab-reclaimable': 'kdump-mem memory --caches',
  'slab-unreclaimable': 'kdump-mem memory --caches',
  vmalloc: 'kdump-mem memory --vmalloc',
  modules: 'kdump-mem memory --vmalloc',
  bpf: 'kdump-mem memory --vmalloc',
};

/**
 * Memory breakdown of a running machine by page flags: every frame of RAM in one category. Frames without a
 * distinctive flag are divided by exact counters; the others are unattributed. The answer is never complete,
 * since flags do not identify network memory.
 */
export function flaggedMemory(machine: FlaggedMachine): MemoryAnswer {
  const { frames, before, after } = machine;
  const { pageSize } = after;
  const warnings = new Warnings();
  const split = splitFrames(machine);
  const counters = procCounters(after);
  // Page flags cover the first kind of page tables.
  const tables = after.meminfo.get('PageTables');
  if (tables !== undefined) counters.set('page-tables', exactly(tables));
  // Flags mark its pages, inside and outside of MemTotal.
  if (after.balloon) counters.set('balloon', exactly(after.balloon.bytes));
  const unread = unreadFrames(machine, warnings);
  const details = detailsOf(machine, pageSize);
  const owners = ownersOf(details);
  const contradictions = disagreements(machine, split);
  for (const { message } of contradictions) warnings.add('corrupt', message);
  const conflict = freeConflict(
    machine,
    split,
    contradictions.some(({ category }) => category === 'free-buddy'),
  );
  if (conflict?.foundBy === 'counters') warnings.add('corrupt', conflictWhy(conflict));
  const large = largeKmallocs(machine);
  const leaf = (category: CategoryName): Category => {
    const part = category === 'unread' ? { ...unread, known: 'flags' as const } : split.get(category);
    const counter = category === 'large-kmalloc' && large ? exactly(large.bytes) : counters.get(category);
    const counted = counter?.state === 'counted' && ALIKE.has(category) ? counter.bytes : null;
    const why =
      part === undefined
        ? (WHY_NO_FRAMES[category] ?? NO_FLAG)
        : (part.why ?? (conflict && DEPENDS_ON_FREE.has(category) ? conflictWhy(conflict) : undefined));
    const bytes = (part?.frames ?? 0) * pageSize;
    return makeCategory({
      category,
      frames: part?.frames ?? 0,
      bytes,
      known: part?.known ?? 'flags',
      counterBytes: counted,
      flagBytes: part?.flagFrames === undefined ? undefined : part.flagFrames * pageSize,
      owners: owners.get(category),
      next: NEXT_COMMANDS[category],
      complete: why === undefined,
      why,
    });
  };
  return makeAnswer({
    host: { release: after.release, pageSize, pageSizeKnown: true },
    source: 'pageflags',
    memory: leafTree({ known: 'flags', leaf }),
    freeConflict: conflict ?? null,
    ...(contradictions.length > 0 ? { contradictions } : {}),
    unflagged: describeUnflagged(frames, pageSize, counterList(machine, large)),
    notes: [...notesOf(frames, pageSize), ...dirtyNotes(after)],
    driftBytes: counterDrift(before, after),
    ...details,
    counted: after.meminfo,
    otherCounters: otherCounters(after),
    warnings: warnings.list(),
    complete: false,
  });
}

/** @param byFlags the number of free frames by flags differs from MemFree */
function freeConflict({ frames, after }: FlaggedMachine, split: Split, byFlags: boolean): FreeConflict | undefined {
  const counters = procCounters(after);
  const counted = (category: CategoryName) => counters.get(category)?.bytes ?? 0;
  // MemFree includes frames whose flags mark them as in use.
  const tooFew = split.get('free-uninitialized')?.why !== undefined;
  if (!byFlags && !tooFew) return zonesConflict(after);
  return {
    foundBy: 'pageflags',
    foundBytes: frames.kinds.free * after.pageSize,
    countedBytes: counted('free-buddy') + (tooFew ? counted('free-uninitialized') : 0),
  };
}

/** Categories whose counters count exactly the same pages, if both exist. */
const ALIKE: ReadonlySet<CategoryName> = new Set<CategoryName>([
  'free-buddy',
  'free-cpu-lists',
  'free-unaccepted',
  'free-uninitialized',
  'anonymous',
  'page-cache',
  'shared',
  'swap-cache',
  'hugetlb',
  'slab-reclaimable',
  'page-tables',
  'kernel-stacks',
  'percpu',
  'compressed',
  'large-kmalloc',
  'balloon',
  'gpu',
]);

/** Unreadable frames, and frames of zones at unknown addresses. */
function unreadFrames({ frames, after }: FlaggedMachine, warnings: Warnings): { frames: number; why?: string } {
  const { torn } = frames.kinds;
  const seen = FRAME_KINDS.reduce((sum, kind) => sum + frames.kinds[kind], 0) + frames.unread;
  const present = after.present === undefined ? undefined : after.present / after.pageSize;
  const lacking = Math.max(0, (present ?? seen) - seen);
  const whys: string[] = [];
  if (frames.whyUnread !== undefined) whys.push(frames.whyUnread);
  if (torn > 0) whys.push(`${torn} frames changed while they were read`);
  if (lacking > 0) whys.push(`zones have ${present} page frames, but /proc/iomem and kpageflags show ${seen}`);
  if (present === undefined) whys.push(after.whyNoZones ?? '/proc/zoneinfo does not count present pages');
  else if (seen > present) whys.push(`zones have ${present} page frames, but /proc/iomem shows ${seen} frames of RAM`);
  for (const why of whys) warnings.add(torn > 0 ? 'torn-list' : 'unreadable', why);
  const sum = torn + frames.unread + lacking;
  return { frames: sum, ...(whys.length === 0 ? {} : { why: whys.join('; ') }) };
}

/** Pages that the kernel counts as slabs although they are none: large kmallocs. */
function largeKmallocs({ frames, after }: FlaggedMachine): { bytes: number } | undefined {
  const slab = after.meminfo.get('Slab');
  if (slab === undefined) return undefined;
  return { bytes: slab - frames.kinds.slab * after.pageSize };
}

/** Returns counters of memory that is in an unknown part among the frames without flags. */
function counterList({ after }: FlaggedMachine, large: { bytes: number } | undefined): UnflaggedFrames['counters'] {
  const counters: { name: string; bytes: number }[] = [];
  const of = (name: string) => {
    const bytes = after.meminfo.get(name);
    if (bytes !== undefined && bytes > 0) counters.push({ name, bytes });
  };
  of('Percpu');
  of('SecPageTables');
  if (large && large.bytes > 0) counters.push({ name: 'Slab without slab pages', bytes: large.bytes });
  return counters;
}

function describeUnflagged(
  { kinds, unflagged }: FlaggedFrames,
  pageSize: number,
  counters: UnflaggedFrames['counters'],
): UnflaggedFrames {
  return {
    bytes: kinds.none * pageSize,
    sizes: [...unflagged.blocks]
      .map(([order, blocks]) => ({ order, blocks, frames: blocks * 2 ** order }))
      .toSorted((a, b) => a.order - b.order),
    zones: [...unflagged.zones].map(([zone, frames]) => ({ zone, frames })),
    chargedBytes: unflagged.charged === undefined ? null : unflagged.charged * pageSize,
    mappedBytes: unflagged.mapped * pageSize,
    counters,
  };
}

/** Category of most frames of a kind. */
const CATEGORY_OF: Readonly<Record<FrameKind, CategoryName>> = {
  free: 'free-buddy',
  slab: 'slab-unreclaimable',
  'page-table': 'page-tables',
  offline: 'balloon',
  reserved: 'reserved-other',
  hugetlb: 'hugetlb',
  'swap-cache': 'swap-cache',
  anonymous: 'anonymous',
  file: 'page-cache',
  shmem: 'shared',
  none: 'unattributed',
  torn: 'unread',
};

function notesOf({ notes }: FlaggedFrames, pageSize: number): FrameNote[] {
  return notes.flatMap(({ note, kind, frames }) =>
    kind === 'hole' ? [] : [{ note, category: CATEGORY_OF[kind], bytes: frames * pageSize }],
  );
}

const MAX_OWNERS = 10;

function ownersOf({ callers, caches }: Pick<MemoryAnswer, 'callers' | 'caches'>): Map<string, readonly Owner[]> {
  const owners = new Map<string, readonly Owner[]>();
  for (const { category, caller, bytes } of callers)
    owners.set(category, [...(owners.get(category) ?? []), { kind: 'caller', name: caller, bytes }]);
  for (const { name, bytes, reclaimable } of caches) {
    if (reclaimable === null) continue;
    const category = reclaimable ? 'slab-reclaimable' : 'slab-unreclaimable';
    owners.set(category, [...(owners.get(category) ?? []), { kind: 'cache', name, bytes }]);
  }
  for (const [category, all] of owners) owners.set(category, all.slice(0, MAX_OWNERS));
  return owners;
}
