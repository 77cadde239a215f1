import { staySmall } from '../../base/collect-garbage.js';
import { KernelError, ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import { kernelIdentity } from '../../kernel/identity.js';
import type { Kernel } from '../../kernel/kernel.js';
import { CATEGORIES, type CategoryName } from '../../records/categories.js';
import type { NamePlace } from '../../walk/files/paths.js';
import { type FrameScan, scanFrames, withoutKernelPages } from '../../walk/memory/frame-scan.js';
import { FilesOfProcesses, secretFrames } from '../../walk/memory/open-files.js';
import { FrameMap } from '../../walk/memory/page-array.js';
import { tablesHaveType } from '../../walk/memory/page-kinds.js';
import { onlineRanges, ramRanges } from '../../walk/memory/ram.js';
import { SlabSizes } from '../../walk/memory/slab-sizes.js';
import { availablePages, cpuListFrames, type Zone, zones } from '../../walk/memory/zones.js';
import { ChildCaches, SlabCacheNames } from '../../walk/pages/slab-caches.js';
import { addError, type WarningCode, Warnings } from '../../walk/warnings.js';
import { type CacheFigures, type MemoryAnswer, makeAnswer } from './answer.js';
import { Areas } from './areas.js';
import { accountCgroups } from './cgroups.js';
import { driftBetween, type KernelCounts, kernelCounts } from './counters.js';
import { zoneFigures } from './details.js';
import { meminfoOfCounts } from './figures.js';
import { FileAccount } from './files.js';
import { checkFrames, comparison } from './frame-checks.js';
import { FrameLedger } from './frame-ledger.js';
import { anonymousInFolios, hugePages } from './huge-pages.js';
import { attempted, codeOf, Missed } from './missed.js';
import { claimNetwork, type OnSocket, QueueFrames, type SocketsQuery } from './network.js';
import { describeLoose, ownersOf, processOwners } from './owners.js';
import { accountSites } from './sites.js';
import { categoryTree } from './tree.js';
import { type Walk, walksAfter, walksBefore } from './walks.js';

/** Frames of a large machine: 8 GiB in pages of 4 KiB. */
const MANY_FRAMES = 2 ** 21;

/**
 * Memory breakdown of a machine: every page frame of RAM in exactly one category.
 *
 * @param progress called with the completed part, 0 to 1
 * @param more what to return beside the categories
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}: RAM or the array of
 * struct pages cannot be found
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
  // The arrays of frames take most memory from here on. The scan itself would take longer with a small young generation.
  if (frames.size >= MANY_FRAMES) staySmall();
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
  const rest = {
    progress: (part: number) => progress((1 + part) / 2),
    isKnown: withoutKernelPages(kernel, frames, scan),
  };
  const census = claimNetwork(kernel, { ledger, queues, missed }, rest, more);
  const files = new FilesOfProcesses(kernel);
  const secret = () => secretFrames(kernel, frames, scan);
  run(walksAfter(kernel, ram, ledger, areas, { secret, files }));
  const processes = processOwners(kernel, frames, scan, ledger, warnings);
  files.note(warnings);
  areas.note(warnings);
  ledger.close();
  if (kernel.facts.live) ledger.settle(listedNow(kernel), scan.isOtherNow);
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
  const account = new FileAccount(kernel, scan, ledger, counts.get('active-file'), files.each, more.onFileName);
  const owners = ownersOf(pageSize, ledger, { caches, census, files: account, processes }, warnings);
  const huge = more.huge ? hugePages(kernel, { frames, scan }, processes.mappedBy, progress, warnings) : undefined;
  const memory = categoryTree(pageSize, { ledger, counts, missed, owners });
  for (const warning of census?.warnings ?? []) warnings.add(warning.code, warning.message);
  more.onPlaces?.({ ledger, queues, areas });
  return makeAnswer({
    kernel: kernelIdentity(kernel.facts),
    source: kernel.facts.source,
    memory,
    unattributed: describeLoose(kernel, ledger, { scan, counts, places }, warnings),
    driftBytes: before === undefined ? 0 : driftBetween(before, counts) * pageSize,
    caches,
    callers: callersOf(pageSize, ledger),
    zones: places.map(zoneFigures),
    sharedFiles: account.shared,
    files: more.files ? (attempted(warnings, 'files', () => account.answer(warnings)) ?? null) : null,
    ...(more.counted ? { counted: countedLines(kernel, counts) } : {}),
    cgroups: more.cgroups
      ? (attempted(warnings, 'cgroups', () =>
          accountCgroups(kernel, { frames, kinds: scan.kinds, ledger }, warnings, more.onCgroup),
        ) ?? null)
      : null,
    sites: more.sites ? accountSites(kernel, { frames, ledger, areas }, warnings) : null,
    hugePages: huge ?? null,
    notes: [{ note: 'thp', category: 'anonymous', bytes: anonymousInFolios(scan) * pageSize }],
    census,
    queues: queues.bytes(ledger, pageSize),
    warnings: warnings.list(),
    complete: memory.complete && warnings.list().every(({ code }) => !SPOILS.has(code)),
  });
}

/** Lookup of the category of single frames and areas. */
export interface MemoryPlaces {
  readonly ledger: FrameLedger;
  readonly queues: QueueFrames;
  readonly areas: Areas;
}

/** Optional parts, which take a while on a machine with many files or cgroups. */
export interface MemoryOptions extends SocketsQuery {
  readonly files?: boolean;
  /** Whether to compute the lines of /proc/meminfo. */
  readonly counted?: boolean;
  readonly cgroups?: boolean;
  /** Whether to list allocation sites, where the kernel noted them. */
  readonly sites?: boolean;
  /** Whether to read the content of huge pages, which is as slow as the source. */
  readonly huge?: boolean;
  /** Receives the address of each name in the path of a file. */
  readonly onFileName?: (place: NamePlace) => void;
  /** Receives the holdings of each socket. */
  readonly onSocket?: OnSocket;
  /** Receives the lookup of single frames and areas once all frames have a category. */
  readonly onPlaces?: (places: MemoryPlaces) => void;
  /** Receives the address of each `struct cgroup` whose path is read. */
  readonly onCgroup?: (cgroup: bigint) => void;
}

const UNTYPED_TABLES = 'kernels before 4.18 do not mark page tables; those of processes are counted as unattributed';

/** Notes that graphics drivers have pages, which cannot be found individually. */
function noteGraphics(counts: KernelCounts, missed: Missed): void {
  const pages = counts.get('gpu') ?? 0;
  if (pages === 0) return;
  const why = `the kernel counts ${pages} pages of graphics drivers, but does not mark them; counted as unattributed`;
  missed.note('gpu', why, 'unsupported-layout');
}

/** Computes the lines of /proc/meminfo; MemAvailable is unknown if the dump lacks its inputs. */
function countedLines(kernel: Kernel, counts: KernelCounts): ReadonlyMap<string, number> {
  let available: number | undefined;
  try {
    available = availablePages(kernel);
  } catch (error) {
    if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
  }
  return meminfoOfCounts(counts, available, kernel.facts.pageSize);
}

/** Frames on per-CPU free lists, as far as these can be read once more. */
function listedNow(kernel: Kernel): ReadonlySet<number> {
  const listed = new Set<number>();
  try {
    for (const frame of cpuListFrames(kernel)) listed.add(frame);
  } catch (error) {
    if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
  }
  return listed;
}

/** Warnings that mean that something is missing. */
const SPOILS: ReadonlySet<WarningCode> = new Set<WarningCode>([
  'unreadable',
  'torn-list',
  'corrupt',
  'unsupported-layout',
  'types-incomplete',
]);

function noteScan(kernel: Kernel, { unread, whyUnread, whyCache, torn, whyTorn }: FrameScan, warnings: Warnings): void {
  if (whyUnread) {
    const message = `struct pages of ${unread} page frames are unreadable: ${whyUnread.message}`;
    warnings.add('unreadable', message);
  }
  if (whyCache) warnings.add('unreadable', `unknown whether a slab cache is reclaimable: ${whyCache.message}`);
  if (whyTorn !== undefined) {
    const others = torn > 1 ? `, and ${torn - 1} more` : '';
    const what = kernel.facts.live ? 'struct pages changed while they were read' : 'inconsistent struct pages';
    warnings.add('corrupt', `${what}: ${whyTorn}${others}`);
  }
}

const IN_VMALLOC = ['modules', 'bpf', 'vmalloc'] as const;

function callersOf(pageSize: number, ledger: FrameLedger): MemoryAnswer['callers'] {
  return IN_VMALLOC.flatMap((category) =>
    [...ledger.ownersOf(category)].map(([caller, frames]) => ({ caller, bytes: frames * pageSize, category })),
  ).toSorted((a, b) => b.bytes - a.bytes);
}

function cachesOf(kernel: Kernel, scan: FrameScan, warnings: Warnings): CacheFigures[] {
  const names = new SlabCacheNames(kernel);
  // A live kernel may change a slab while others are read.
  const sizes = kernel.facts.live ? undefined : new SlabSizes(kernel);
  const children = new ChildCaches(kernel);
  const rows = new Map<bigint, CacheFigures>();
  for (const [cache, { frames, ...figures }] of scan.slabs) {
    const bytes = frames * kernel.facts.pageSize;
    const unnamed = { name: hex(cache), objectSize: null, slotSize: null };
    let [root, row]: [bigint, CacheFigures] = [cache, { ...figures, bytes, ...unnamed }];
    try {
      const facts = names.of(cache);
      const fault = sizes?.fault(cache, facts, { frames, ...figures });
      if (fault !== undefined) warnings.add('corrupt', `the slab cache at ${hex(cache)} ${fault}`);
      root = children.rootOf(cache);
      row = { ...row, ...(root === cache ? facts : names.of(root)) };
    } catch (error) {
      addError(warnings, `the slab cache at ${hex(cache)}`, error);
    }
    const known = rows.get(root);
    rows.set(root, known ? mergeCaches(known, row) : row);
  }
  return [...rows.values()].toSorted((a, b) => b.bytes - a.bytes);
}

/** Merges a cache with its copies for memory cgroups. */
function mergeCaches(cache: CacheFigures, other: CacheFigures): CacheFigures {
  return {
    ...cache,
    bytes: cache.bytes + other.bytes,
    slabs: cache.slabs + other.slabs,
    slots: cache.slots + other.slots,
    used: cache.used + other.used,
  };
}

/** Facts that are compared. */
interface Facts {
  readonly ledger: FrameLedger;
  readonly areas: Areas;
  readonly scan: FrameScan;
  readonly counts: KernelCounts;
  readonly missed: Missed;
  readonly places: readonly Zone[];
}

/**
 * Facts of a dump that contradict each other: categories and kernel counters that count exactly the same
 * pages, struct pages ({@link checkFrames}), and pages that are both held and free. On a live kernel both
 * change between two reads, so nothing is reported.
 */
function checkContradictions(
  kernel: Kernel,
  { ledger, areas, scan, counts, missed, places }: Facts,
  warnings: Warnings,
): void {
  if (kernel.facts.live) return;
  const report = (message: string) => warnings.add('corrupt', message);
  const sums = ledger.sums();
  const frames = (category: CategoryName) => sums.get(category) ?? 0;
  checkFrames(kernel, { scan, frames: ledger.size, counts, places }, warnings);
  const compare = comparison(kernel, counts, warnings);
  if (!missed.spoils('percpu')) compare('per-CPU memory', frames('percpu'), 'percpu');
  if (!missed.spoils('kernel-stacks')) {
    const [ours, theirs] = [frames('kernel-stacks'), counts.get('kernel-stacks')];
    if (theirs !== undefined && theirs !== ours) {
      const { less, more } = areas.stackSlack();
      if (theirs < ours - less || theirs > ours + more) compare('kernel stacks', ours, 'kernel-stacks');
    }
  }
  const ofAreas = ['kernel-stacks', 'modules', 'bpf', 'vmalloc'] as const;
  if (ofAreas.every((category) => !missed.spoils(category))) {
    const mapped = ofAreas.reduce((sum, category) => sum + frames(category), 0);
    compare('vmalloc (stacks included)', mapped, 'all-vmalloc');
  }
  for (const category of CATEGORIES) {
    const free = ledger.freeButHeld(category);
    // The image is exempt: boot-only parts of it were given to the buddy allocator.
    if (free > 0 && category !== 'image') report(`${category}: ${free} of its pages are marked free`);
  }
}
