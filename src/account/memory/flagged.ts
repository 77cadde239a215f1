import { Warnings } from '../../walk/warnings.js';
import type { MemoryAnswer, UnflaggedFrames } from './answer.js';
import type { CategoryName } from './categories.js';
import type { Category, Owner } from './category.js';
import { detailsOf } from './details.js';
import {
  type FlaggedFrames,
  type FlaggedMachine,
  FRAME_KINDS,
  type FrameKind,
} from './flagged-machine.js';
import type { FrameNote } from './frame-note.js';
import { conflictWhy, DEPENDS_ON_FREE, type FreeConflict, zonesConflict } from './free-conflict.js';
import { leafTree } from './leaf-tree.js';
import { counterDrift, counterSlack, freeCounts, procCounters } from './proc-counters.js';
import { type Split, splitFrames } from './split-frames.js';

/** Categories whose frames say what they are, and that the kernel counts; of some it counts only a part. */
const COMPARED: readonly { readonly category: CategoryName; readonly counts: 'all' | 'some' }[] = [
  { category: 'free-buddy', counts: 'all' },
  { category: 'shared', counts: 'all' },
  { category: 'swap-cache', counts: 'all' },
  { category: 'hugetlb', counts: 'all' },
  // What is mapped; and pages of files that are truncated stay where they are.
  { category: 'anonymous', counts: 'some' },
  { category: 'page-cache', counts: 'some' },
];

/** A category that page flags and the kernel's counter measure differently. */
interface Disagreement {
  readonly category: CategoryName | undefined;
  readonly message: string;
}

/** Categories and counters of the same that differ by more than a look at a running machine explains. */
function disagreements(
  machine: FlaggedMachine,
  frames: ReadonlyMap<CategoryName, { readonly frames: number }>,
): Disagreement[] {
  const { before, after } = machine;
  const [earlier, later] = [procCounters(before), procCounters(after)];
  const found: Disagreement[] = [];
  for (const { category, counts } of COMPARED) {
    const [one, other] = [earlier.get(category), later.get(category)];
    if (!one || !other || !('bytes' in one) || !('bytes' in other)) continue;
    const [from, to] = [one.bytes, other.bytes]
      .map((bytes) => bytes / after.pageSize)
      .sort((a, b) => a - b) as [number, number];
    const slack = counterSlack(after) / after.pageSize;
    const ours = frames.get(category)?.frames ?? 0;
    if (ours < from - slack || (counts === 'all' && ours > to + slack))
      found.push({
        category,
        message: `${category}: page flags show ${ours} pages, but the kernel counts ${from === to ? to : `${from} to ${to}`}`,
      });
  }
  const unmanaged = ((after.meminfo.get('MemTotal') ?? 0) - (after.managed ?? 0)) / after.pageSize;
  const isUnknown = unmanaged > 0 && !freeCounts(after)?.uninitialized;
  if (found.length > 0 && after.managed !== undefined && isUnknown)
    found.push({
      category: undefined,
      message: `zones manage ${unmanaged} fewer pages than MemTotal counts; some pages may be in the wrong category`,
    });
  return found;
}

const NO_FLAG = 'not identified by page flags or counters; counted as unattributed';
const AT_BOOT = 'no counter exists; counted as other reserved';
const NETWORK =
  'not identified without /proc/kcore; counted as unattributed; skcheck --stale lists unread sockets';
const PER_CPU =
  'not identified by page flags; counted as unattributed or, if allocated at boot, as other reserved';
const LARGE = '/proc/kpageflags does not mark these pages; counted as unattributed';

/** Why a category that has no frames may have some all the same. */
const UNTOLD: Partial<Record<CategoryName, string>> = {
  'network-sockets': NETWORK,
  'network-other': NETWORK,
  percpu: PER_CPU,
  'large-kmalloc': LARGE,
  memmap: AT_BOOT,
  secret: 'page flags do not distinguish it from files; counted as page cache',
};

/** The command that tells more. */
const NEXT_COMMANDS: Partial<Record<CategoryName, string>> = {
  'slab-reclaimable': 'memory --caches',
  'slab-unreclaimable': 'memory --caches',
  vmalloc: 'memory --vmalloc',
  modules: 'memory --vmalloc',
  bpf: 'memory --vmalloc',
};

/**
 * Where the memory of a running machine is, by the flags of its page frames: every frame of RAM in one
 * category as far as flags tell. What no flag tells of is split by counters where these are exact, and is
 * what nothing explains else; it is never whole, since nothing tells of the network's pages.
 */
export function flaggedMemory(machine: FlaggedMachine): MemoryAnswer {
  const { frames, before, after } = machine;
  const { pageSize } = after;
  const warnings = new Warnings();
  const split = splitFrames(machine);
  const counters = procCounters(after);
  // Flags tell of the first kind of page tables.
  const tables = after.meminfo.get('PageTables');
  if (tables !== undefined) counters.set('page-tables', { bytes: tables });
  const unread = unreadFrames(machine, warnings);
  const details = detailsOf(machine, pageSize);
  const owners = ownersOf(details);
  const found = disagreements(machine, split);
  for (const { message } of found) warnings.add('corrupt', message);
  const conflict = freeConflict(
    machine,
    split,
    found.some(({ category }) => category === 'free-buddy'),
  );
  if (conflict?.foundBy === 'counters') warnings.add('corrupt', conflictWhy(conflict));
  const large = largeKmallocs(machine);
  const leaf = (category: CategoryName): Category => {
    const part =
      category === 'unread' ? { ...unread, known: 'flags' as const } : split.get(category);
    const counter = category === 'large-kmalloc' ? large : counters.get(category);
    const counted = counter && 'bytes' in counter && ALIKE.has(category) ? counter.bytes : null;
    const why =
      part === undefined
        ? (UNTOLD[category] ?? NO_FLAG)
        : (part.why ??
          (conflict && DEPENDS_ON_FREE.has(category) ? conflictWhy(conflict) : undefined));
    const bytes = (part?.frames ?? 0) * pageSize;
    const next = NEXT_COMMANDS[category];
    return {
      category,
      frames: part?.frames ?? 0,
      bytes,
      known: part?.known ?? 'flags',
      counterBytes: counted,
      owners: owners.get(category) ?? [],
      children: [],
      ...(next === undefined ? {} : { next }),
      complete: why === undefined,
      ...(why === undefined ? {} : { why }),
      elsewhere: [],
    };
  };
  return {
    kernel: undefined,
    host: { release: after.release, pageSize },
    source: 'pageflags',
    memory: leafTree({ known: 'flags', leaf }),
    ...(conflict ? { freeConflict: conflict } : {}),
    loose: undefined,
    census: undefined,
    queues: [],
    unflagged: describeUnflagged(frames, counterList(machine, large)),
    notes: notesOf(frames),
    drift: counterDrift(before, after),
    ...details,
    counted: after.meminfo,
    warnings: warnings.list(),
    complete: false,
  };
}

/** @param byFlags frames that are free by their flags are not as many as MemFree counts */
function freeConflict(
  { frames, after }: FlaggedMachine,
  split: Split,
  byFlags: boolean,
): FreeConflict | undefined {
  const counters = procCounters(after);
  const counted = (category: CategoryName) => {
    const counter = counters.get(category);
    return counter && 'bytes' in counter ? counter.bytes : 0;
  };
  // MemFree has frames that are in use by their flags.
  const tooFew = split.get('free-uninitialized')?.why !== undefined;
  if (!byFlags && !tooFew) return zonesConflict(after);
  return {
    foundBy: 'pageflags',
    foundBytes: frames.kinds.free * after.pageSize,
    countedBytes: counted('free-buddy') + (tooFew ? counted('free-uninitialized') : 0),
  };
}

/** Categories of which counters count the same pages, as far as both say. */
const ALIKE: ReadonlySet<CategoryName> = new Set<CategoryName>([
  ...(['free-buddy', 'free-cpu-lists', 'free-unaccepted', 'free-uninitialized'] as const),
  ...(['anonymous', 'page-cache'] as const),
  ...(['shared', 'swap-cache', 'hugetlb', 'slab-reclaimable', 'page-tables'] as const),
  ...(['kernel-stacks', 'percpu', 'compressed', 'large-kmalloc', 'balloon'] as const),
]);

/** Frames that could not be looked at, and those that zones have and nobody says where. */
function unreadFrames(
  { frames, after }: FlaggedMachine,
  warnings: Warnings,
): { frames: number; why?: string } {
  const { torn } = frames.kinds;
  const seen = FRAME_KINDS.reduce((sum, kind) => sum + frames.kinds[kind], 0) + frames.unread;
  const present = after.present === undefined ? undefined : after.present / after.pageSize;
  const lacking = Math.max(0, (present ?? seen) - seen);
  const whys: string[] = [];
  if (frames.whyUnread !== undefined) whys.push(frames.whyUnread);
  if (torn > 0) whys.push(`${torn} frames changed while they were read`);
  if (lacking > 0)
    whys.push(`zones have ${present} page frames, but /proc/iomem and kpageflags show ${seen}`);
  if (present === undefined)
    whys.push(after.whyNoZones ?? '/proc/zoneinfo does not count present pages');
  else if (seen > present)
    whys.push(`zones have ${present} page frames, but /proc/iomem shows ${seen} frames of RAM`);
  for (const why of whys) warnings.add(torn > 0 ? 'torn-list' : 'unreadable', why);
  const sum = torn + frames.unread + lacking;
  return { frames: sum, ...(whys.length === 0 ? {} : { why: whys.join('; ') }) };
}

/** What the kernel counts of slabs and is none: large kmallocs. */
function largeKmallocs({ frames, after }: FlaggedMachine): { bytes: number } | undefined {
  const slab = after.meminfo.get('Slab');
  if (slab === undefined) return undefined;
  return { bytes: slab - frames.kinds.slab * after.pageSize };
}

/** Counters of what is, in a part that nobody can tell, among what no flag tells of. */
function counterList(
  { after }: FlaggedMachine,
  large: { bytes: number } | undefined,
): UnflaggedFrames['counters'] {
  const found: { name: string; bytes: number }[] = [];
  const of = (name: string) => {
    const bytes = after.meminfo.get(name);
    if (bytes !== undefined && bytes > 0) found.push({ name, bytes });
  };
  of('Percpu');
  of('SecPageTables');
  if (large && large.bytes > 0) found.push({ name: 'Slab without slab pages', bytes: large.bytes });
  of('GPUActive');
  of('GPUReclaim');
  return found;
}

function describeUnflagged(
  { kinds, unflagged }: FlaggedFrames,
  counters: UnflaggedFrames['counters'],
): UnflaggedFrames {
  return {
    frames: kinds.none,
    sizes: [...unflagged.blocks]
      .map(([order, blocks]) => ({ order, blocks, frames: blocks * 2 ** order }))
      .toSorted((a, b) => a.order - b.order),
    zones: [...unflagged.zones].map(([zone, frames]) => ({ zone, frames })),
    charged: unflagged.charged ?? null,
    mapped: unflagged.mapped,
    counters,
  };
}

/** The category that frames of a kind are in, for the most part. */
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

function notesOf({ notes }: FlaggedFrames): FrameNote[] {
  return notes.flatMap(({ note, kind, frames }) =>
    kind === 'hole' ? [] : [{ note, category: CATEGORY_OF[kind], frames }],
  );
}

const MOST_OWNERS = 10;

function ownersOf({
  callers,
  caches,
}: Pick<MemoryAnswer, 'callers' | 'caches'>): Map<CategoryName, readonly Owner[]> {
  const owners = new Map<CategoryName, readonly Owner[]>();
  for (const caller of callers) {
    const { category, ...owner } = caller;
    owners.set(category, [...(owners.get(category) ?? []), owner]);
  }
  for (const { name, bytes, reclaimable } of caches) {
    if (reclaimable === null) continue;
    const category = reclaimable ? 'slab-reclaimable' : 'slab-unreclaimable';
    owners.set(category, [...(owners.get(category) ?? []), { kind: 'cache', name, bytes }]);
  }
  for (const [category, all] of owners) owners.set(category, all.slice(0, MOST_OWNERS));
  return owners;
}
