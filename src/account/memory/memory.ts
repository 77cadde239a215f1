import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { NamePlace } from '../../walk/files/paths.js';
import { incompleteness } from '../../walk/incompleteness.js';
import { FrameMap } from '../../walk/memory/frame-map.js';
import { type FrameScan, scanFrames } from '../../walk/memory/frame-scan.js';
import { onlineRanges } from '../../walk/memory/online.js';
import { FilesOfProcesses } from '../../walk/memory/open-files.js';
import { tablesHaveType } from '../../walk/memory/page-kinds.js';
import { ramRanges } from '../../walk/memory/ram.js';
import { secretFrames } from '../../walk/memory/secret.js';
import { SlabCacheNames } from '../../walk/memory/slab-cache-names.js';
import { SlabShapes } from '../../walk/memory/slab-shape.js';
import { type Zone, zones } from '../../walk/memory/zones.js';
import { availablePages } from '../../walk/pages/available.js';
import { ChildCaches } from '../../walk/pages/child-caches.js';
import { type WarningCode, Warnings } from '../../walk/warnings.js';
import type { CacheFigures, MemoryAnswer } from './answer.js';
import { Areas } from './areas.js';
import { CATEGORIES, type CategoryName } from './categories.js';
import { accountCgroups } from './cgroups.js';
import { driftBetween, type KernelCounts, kernelCounts } from './counters.js';
import { meminfoOfCounts } from './figures.js';
import { FileAccount } from './files.js';
import { checkFrames, comparison } from './frame-checks.js';
import { FrameLedger } from './frame-ledger.js';
import { describeLoose } from './loose.js';
import { attempted, codeOf, Missed } from './missed.js';
import { claimNetwork, type SocketsQuery } from './network.js';
import { ownersOf } from './owners.js';
import { processOwners } from './process-owners.js';
import { type OnSocket, QueueFrames } from './queue-frames.js';
import { categoryTree } from './tree.js';
import { type Walk, walksAfter, walksBefore } from './walks.js';

/**
 * Where the memory of a machine is: every page frame of RAM in exactly one category.
 *
 * @param progress told now and then which part is done, 0 to 1
 * @param more what is asked besides the categories
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}: where RAM is, or
 *   the array of struct pages, cannot be found
 */
export function accountMemory(
  kernel: Kernel,
  progress: (part: number) => void = () => {},
  more: MemoryOptions = {},
): MemoryAnswer {
  const warnings = new Warnings(kernel.doubts);
  const before = kernel.facts.live ? kernelCounts(kernel) : undefined;
  const note = (message: string) => warnings.add('unreadable', message);
  const ram = ramRanges(kernel, note);
  const frames = new FrameMap(onlineRanges(kernel, ram, note));
  const scan = scanFrames(kernel, frames, (part) => progress(part / 2));
  const ledger = new FrameLedger(frames, scan.kinds);
  const missed = new Missed();
  const queues = new QueueFrames(more.onSocket);
  const run = (walks: readonly Walk[]): void => {
    for (const { category, run: walk } of walks) {
      try {
        walk();
      } catch (error) {
        missed.add(category, error);
      }
    }
  };
  const areas = new Areas(kernel);
  run(walksBefore(kernel, ram, ledger, areas));
  const told = (part: number) => progress((1 + part) / 2);
  const census = claimNetwork(kernel, { ledger, queues, missed }, told, more);
  const files = new FilesOfProcesses(kernel);
  const secret = () => secretFrames(kernel, frames, scan);
  run(walksAfter(kernel, ram, ledger, areas, { secret, files }));
  files.note(warnings);
  areas.note(warnings);
  ledger.close();
  noteScan(kernel, scan, warnings);
  const counts = kernelCounts(
    kernel,
    (error) => warnings.add(codeOf(error), `the kernel’s counters: ${error.message}`),
    scan.deferred,
  );
  noteGraphics(counts, missed);
  if (!tablesHaveType(kernel)) missed.note('page-tables', UNTYPED_TABLES, 'unsupported-layout');
  for (const { categories, why, code } of missed.reasons())
    if (code) warnings.add(code, `incomplete: ${categories.join(', ')}: ${why}`);
  const places = attempted(warnings, 'zones', () => zones(kernel)) ?? [];
  checkContradictions(kernel, { ledger, areas, scan, counts, missed, places }, warnings);
  const { pageSize } = kernel.facts;
  const caches = cachesOf(kernel, scan, warnings);
  const account = new FileAccount(kernel, scan, ledger, more.onFileName);
  const processes = processOwners(kernel, frames, scan, warnings);
  const owners = ownersOf(
    pageSize,
    ledger,
    { caches, census, files: account, processes },
    warnings,
  );
  const memory = categoryTree(pageSize, { ledger, counts, missed, owners });
  for (const warning of census?.warnings ?? []) warnings.add(warning.code, warning.message);
  more.onPlaces?.({ ledger, queues, areas });
  return {
    kernel: kernel.facts,
    source: kernel.facts.source,
    memory,
    loose: describeLoose(kernel, ledger, { scan, counts, places }, warnings),
    drift: before === undefined ? 0 : driftBetween(before, counts) * pageSize,
    caches,
    callers: callersOf(pageSize, ledger),
    zones: places,
    files: more.files ? attempted(warnings, 'files', () => account.answer(warnings)) : undefined,
    ...(more.counted ? { counted: countedLines(kernel, counts) } : {}),
    cgroups: more.cgroups
      ? attempted(warnings, 'cgroups', () =>
          accountCgroups(kernel, { frames, kinds: scan.kinds, ledger }, warnings, more.onCgroup),
        )
      : undefined,
    census,
    queues: queues.bytes(ledger, pageSize),
    warnings: warnings.list(),
    complete: memory.complete && warnings.list().every(({ code }) => !SPOILS.has(code)),
  };
}

/** By whom single frames and areas are found. */
export interface MemoryPlaces {
  readonly ledger: FrameLedger;
  readonly queues: QueueFrames;
  readonly areas: Areas;
}

/** Parts that take a while on a machine with many files or cgroups. */
export interface MemoryOptions extends SocketsQuery {
  readonly files?: boolean;
  /** The lines of /proc/meminfo. */
  readonly counted?: boolean;
  readonly cgroups?: boolean;
  /** Told where each name in a path of a file lies. */
  readonly onFileName?: (place: NamePlace) => void;
  /** Told what each socket holds. */
  readonly onSocket?: OnSocket;
  /** Told, when all is in its category, by whom single frames and areas can be found. */
  readonly onPlaces?: (places: MemoryPlaces) => void;
  /** Told the address of each `struct cgroup` whose path is read. */
  readonly onCgroup?: (cgroup: bigint) => void;
}

const UNTYPED_TABLES =
  'kernels before 4.18 do not mark page tables; those of processes are counted as unattributed';

/** Pages of graphics drivers cannot be found: that there are some is all that can be told. */
function noteGraphics(counts: KernelCounts, missed: Missed): void {
  const pages = counts.get('gpu') ?? 0;
  if (pages === 0) return;
  const why = `the kernel counts ${pages} pages of graphics drivers, but does not mark them; counted as unattributed`;
  missed.note('gpu', why, 'unsupported-layout');
}

/** A dump may lack what MemAvailable is estimated from: that line is then not known. */
function countedLines(kernel: Kernel, counts: KernelCounts): ReadonlyMap<string, number> {
  let available: number | undefined;
  try {
    available = availablePages(kernel);
  } catch (error) {
    if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
  }
  return meminfoOfCounts(counts, available, kernel.facts.pageSize);
}

/** Warnings that say that something was missed. */
const SPOILS: ReadonlySet<WarningCode> = new Set<WarningCode>([
  'unreadable',
  'torn-list',
  'corrupt',
  'unsupported-layout',
  'types-incomplete',
]);

function noteScan(
  kernel: Kernel,
  { unread, whyUnread, whyCache, torn, whyTorn }: FrameScan,
  warnings: Warnings,
): void {
  if (whyUnread) {
    const message = `struct pages of ${unread} page frames are unreadable: ${whyUnread.message}`;
    warnings.add('unreadable', message);
  }
  if (whyCache)
    warnings.add('unreadable', `unknown whether a slab cache is reclaimable: ${whyCache.message}`);
  if (whyTorn !== undefined) {
    const others = torn > 1 ? `, and ${torn - 1} more` : '';
    const what = kernel.facts.live
      ? 'struct pages changed while they were read'
      : 'inconsistent struct pages';
    warnings.add('corrupt', `${what}: ${whyTorn}${others}`);
  }
}

const IN_VMALLOC = ['modules', 'bpf', 'vmalloc'] as const;

function callersOf(pageSize: number, ledger: FrameLedger): MemoryAnswer['callers'] {
  return IN_VMALLOC.flatMap((category) =>
    [...ledger.ownersOf(category)].map(
      ([name, frames]) => ({ kind: 'caller', name, bytes: frames * pageSize, category }) as const,
    ),
  ).toSorted((a, b) => b.bytes - a.bytes);
}

function cachesOf(kernel: Kernel, scan: FrameScan, warnings: Warnings): CacheFigures[] {
  const names = new SlabCacheNames(kernel);
  // On a live kernel a slab may change while others are read.
  const shapes = kernel.facts.live ? undefined : new SlabShapes(kernel);
  const children = new ChildCaches(kernel);
  const rows = new Map<bigint, CacheFigures>();
  for (const [cache, { frames, ...figures }] of scan.slabs) {
    const bytes = frames * kernel.facts.pageSize;
    const unnamed = { name: hex(cache), objectSize: null, slotSize: null };
    let [root, row]: [bigint, CacheFigures] = [cache, { ...figures, bytes, ...unnamed }];
    try {
      const facts = names.of(cache);
      const fault = shapes?.fault(cache, facts, { frames, ...figures });
      if (fault !== undefined) warnings.add('corrupt', `the slab cache at ${hex(cache)} ${fault}`);
      root = children.rootOf(cache);
      row = { ...row, ...(root === cache ? facts : names.of(root)) };
    } catch (error) {
      const message = `the slab cache at ${hex(cache)}: ${(error as Error).message}`;
      warnings.add(incompleteness(error), message);
    }
    const known = rows.get(root);
    rows.set(root, known ? together(known, row) : row);
  }
  return [...rows.values()].toSorted((a, b) => b.bytes - a.bytes);
}

/** A cache and its copies for memory cgroups, as one. */
function together(one: CacheFigures, other: CacheFigures): CacheFigures {
  return {
    ...one,
    bytes: one.bytes + other.bytes,
    slabs: one.slabs + other.slabs,
    slots: one.slots + other.slots,
    used: one.used + other.used,
  };
}

/** What is held against each other. */
interface Facts {
  readonly ledger: FrameLedger;
  readonly areas: Areas;
  readonly scan: FrameScan;
  readonly counts: KernelCounts;
  readonly missed: Missed;
  readonly places: readonly Zone[];
}

/**
 * Facts of a dump that cannot all be true: categories against the kernel's own counters where both count the
 * same to the page, what all struct pages say ({@link checkFrames}), and pages that are held and free.
 * On a live kernel both change between two reads: nothing is said.
 */
function checkContradictions(
  kernel: Kernel,
  { ledger, areas, scan, counts, missed, places }: Facts,
  warnings: Warnings,
): void {
  if (kernel.facts.live) return;
  const tell = (message: string) => warnings.add('corrupt', message);
  const sums = ledger.sums();
  const frames = (category: CategoryName) => sums.get(category) ?? 0;
  checkFrames(kernel, { scan, frames: ledger.size, counts, places }, warnings);
  const compare = comparison(kernel, counts, warnings);
  if (!missed.spoils('percpu')) compare('per-CPU memory', frames('percpu'), 'percpu');
  if (!missed.spoils('kernel-stacks')) {
    const [ours, theirs] = [frames('kernel-stacks'), counts.get('kernel-stacks')];
    if (theirs !== undefined && theirs !== ours) {
      const { less, more } = areas.stackSlack();
      if (theirs < ours - less || theirs > ours + more)
        compare('kernel stacks', ours, 'kernel-stacks');
    }
  }
  const ofAreas = ['kernel-stacks', 'modules', 'bpf', 'vmalloc'] as const;
  if (ofAreas.every((category) => !missed.spoils(category))) {
    const mapped = ofAreas.reduce((sum, category) => sum + frames(category), 0);
    compare('vmalloc (stacks included)', mapped, 'all-vmalloc');
  }
  for (const category of CATEGORIES) {
    const free = ledger.freeButHeld(category);
    // The image: what only the boot needed was given to the buddy allocator.
    if (free > 0 && category !== 'image') tell(`${category}: ${free} of its pages are marked free`);
  }
}
