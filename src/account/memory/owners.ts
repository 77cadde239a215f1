import { eachRun } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { CategoryName } from '../../records/categories.js';
import type { FrameScan } from '../../walk/memory/frame-scan.js';
import type { FrameMap } from '../../walk/memory/page-array.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import type { Zone } from '../../walk/memory/zones.js';
import { looseBlocks } from '../../walk/pages/block.js';
import { PageReader } from '../../walk/pages/pages.js';
import {
  type AddressSpace,
  addressSpaces,
  isFreed,
  ResidentCountReader,
  type ResidentCounts,
  spaceName,
} from '../../walk/processes/address-spaces.js';
import { reportedTasks } from '../../walk/tasks/task-table.js';
import { addError, type Warnings } from '../../walk/warnings.js';
import { checkMapcounts, countsAgree, UnmappedPages } from '../processes/map-checks.js';
import { MappingCounts, type ResidentPages } from '../processes/mapped-pages.js';
import type { CensusAnswer } from '../sockets.js';
import type { CacheFigures, Loose } from './answer.js';
import type { KernelCounts } from './counters.js';
import type { FileAccount } from './files.js';
import type { FrameLedger } from './frame-ledger.js';
import type { MappedBy } from './huge-pages.js';
import { codeOf } from './missed.js';
import type { Owner } from './tree.js';

/** Maximum number of listed owners of a category. */
const MAX_OWNERS = 10;

/** Categories whose frames are claimed with a name: a caller, a kind of ring, a table. */
const NAMED = ['modules', 'bpf', 'vmalloc', 'rings', 'tables', 'network-other'] as const;

interface Known {
  readonly caches: readonly CacheFigures[];
  readonly census: CensusAnswer | undefined;
  readonly files: FileAccount;
  readonly processes: ProcessOwners;
}

/** Returns the largest owners of each category that has owners. */
export function ownersOf(
  pageSize: number,
  ledger: FrameLedger,
  { caches, census, files, processes }: Known,
  warnings: Warnings,
): Map<CategoryName, readonly Owner[]> {
  const owners = new Map<CategoryName, readonly Owner[]>();
  const largest = (all: readonly Owner[]) => all.toSorted((a, b) => b.bytes - a.bytes).slice(0, MAX_OWNERS);
  for (const category of NAMED) {
    const kind = category === 'network-other' ? 'row' : category === 'tables' ? 'table' : 'caller';
    const named = [...ledger.ownersOf(category)].map(
      ([name, frames]): Owner => ({ kind, name, bytes: frames * pageSize }),
    );
    owners.set(category, largest(named));
  }
  for (const category of ['pipes', 'driver-mapped'] as const) {
    const users = [...ledger.ownersOf(category)].map(
      ([key, frames]): Owner => ({ ...processOf(key), kind: 'process', bytes: frames * pageSize }),
    );
    owners.set(category, largest(users));
  }
  for (const category of ['page-cache', 'shared'] as const)
    owners.set(category, files.owners(category, MAX_OWNERS, warnings));
  for (const reclaimable of [true, false]) {
    const own = caches.filter((cache) => cache.reclaimable === reclaimable);
    const category = reclaimable ? 'slab-reclaimable' : 'slab-unreclaimable';
    owners.set(category, largest(own.map(({ name, bytes }) => ({ kind: 'cache', name, bytes }))));
  }
  owners.set('anonymous', largest(processes.anonymous));
  owners.set('hugetlb', largest(processes.hugetlb));
  const holders = (census?.processes ?? []).filter(({ total }) => total.pageBytes > 0);
  owners.set(
    'network-sockets',
    largest(holders.map(({ key, total }) => ({ ...processOf(key), kind: 'process', bytes: total.pageBytes }))),
  );
  return owners;
}

/** The key of a group by process contains pid and command; without a process, words. */
function processOf(key: string): Pick<Owner, 'name' | 'pid'> {
  const [pid, ...comm] = key.split(' ');
  return /^\d+$/.test(pid ?? '') ? { pid: Number(pid), name: comm.join(' ') } : { name: key };
}

/** Largest owners of categories that processes map and that belong to no file. */
interface ProcessOwners {
  readonly anonymous: readonly Owner[];
  readonly hugetlb: readonly Owner[];
  /** The process that maps a frame, by its index; undefined: none, or unknown. */
  mappedBy(index: number): MappedBy | undefined;
}

const NOBODY = 0;
const SEVERAL = 1;
/** Number of the first address space. */
const FIRST = 2;

/**
 * The processes that map the anonymous and huge pages of a machine, by their page tables. Pages shared by
 * processes after fork belong to none of them alone.
 *
 * @param scan result for each frame
 * @param ledger receives driver pages that only page tables of processes refer to
 */
export function processOwners(
  kernel: Kernel,
  frames: FrameMap,
  scan: FrameScan,
  ledger: FrameLedger,
  warnings: Warnings,
): ProcessOwners {
  const none: ProcessOwners = { anonymous: [], hugetlb: [], mappedBy: () => undefined };
  if (!kernel.userPages) return none;
  try {
    let whole = reportedTasks(kernel, warnings).lost === undefined;
    const spaces = addressSpaces(kernel, ({ pid }, error) => {
      whole = false;
      warnings.add(codeOf(error), `pid ${pid}: owners of anonymous memory: ${(error as Error).message}`);
    });
    // Half as much memory, unless processes are very many.
    const owners: Owners = new (FIRST + spaces.length < 2 ** 16 ? Uint16Array : Uint32Array)(frames.size);
    const counts = new MappingCounts(kernel, frames, scan);
    const reader = new ResidentCountReader(kernel);
    const read = new Map<AddressSpace, { readonly found: ResidentPages; readonly counted: ResidentCounts }>();
    /** Address spaces whose page tables may have been reused before they were read. */
    const freed = new Set<number>();
    for (const [index, space] of spaces.entries()) {
      const own = FIRST + index;
      try {
        const pages = counts.add(space, (at) => {
          if (owners[at] === NOBODY) owners[at] = own;
          else if (owners[at] !== own) owners[at] = SEVERAL;
        });
        read.set(space, { found: pages, counted: reader.read(space) });
        if (isFreed(kernel, space)) freed.add(index);
      } catch (error) {
        if (isFreed(kernel, space)) {
          freed.add(index);
          continue;
        }
        whole = false;
        const message = `${spaceName(space)}: owners of anonymous memory: ${(error as Error).message}`;
        warnings.add(codeOf(error), message);
      }
    }
    if (freed.size > 0) {
      const message = `address spaces that were freed while their page tables were read: ${freed.size} of ${spaces.length}`;
      warnings.add('freed-while-read', message);
    }
    const unmapping = new UnmappedPages(kernel, counts);
    for (const [space, figures] of read) countsAgree(kernel, space, { ...figures, unmapping }, warnings);
    checkMapcounts(kernel, counts, whole ? spaces : undefined, warnings);
    const { pageSize } = kernel.facts;
    const known = spaces.map((space, index) => (freed.has(index) ? undefined : space));
    claimDriverPages(kernel, frames, { scan, owners, known }, ledger);
    const names = known.map((space) => space && nameOf(space));
    return {
      anonymous: sums(known, owners, scan.kinds, KIND.anonymous, pageSize),
      hugetlb: sums(known, owners, scan.kinds, KIND.hugetlb, pageSize),
      mappedBy: (index) => (owners[index] === SEVERAL ? BY_SEVERAL : names[owners[index]! - FIRST]),
    };
  } catch (error) {
    warnings.add(codeOf(error), `owners of anonymous memory: ${(error as Error).message}`);
    return none;
  }
}

/** Number of the owner of each frame. */
type Owners = Uint16Array | Uint32Array;

/** What page tables show: the number of each frame's owner, and the address spaces by number. */
interface Mapped {
  readonly scan: FrameScan;
  readonly owners: Owners;
  readonly known: readonly (AddressSpace | undefined)[];
}

/**
 * Claims pages that a driver inserted into the memory of a process (vm_insert_page in mm/memory.c), and that no walk
 * found: the page table entry has a reference to each, so the driver may keep no pointer. A single page counts its
 * mappings, too. Of a compound page one mapped page keeps all.
 */
function claimDriverPages(
  kernel: Kernel,
  frames: FrameMap,
  { scan, owners, known }: Mapped,
  ledger: FrameLedger,
): void {
  const pages = new PageReader(kernel);
  eachOfKind(scan.kinds, KIND.held, (index) => {
    const own = owners[index]!;
    if (own === NOBODY || scan.mappings[index] === 0) return;
    const frame = frames.frameAt(index);
    const [process] = known[own - FIRST]?.processes ?? [];
    if (ledger.categoryOf(frame) !== undefined || (own !== SEVERAL && !process)) return;
    const block = pages.block(kernel.pages.pageOfFrame(frame));
    const owner = process ? `${process.pid} ${process.comm}` : SEVERAL_PROCESSES;
    ledger.claimBlock('driver-mapped', block.frame, (block.kind === 'page' ? block.order : undefined) ?? 0, owner);
  });
}

function eachOfKind(kinds: Uint8Array, kind: number, visit: (index: number) => void): void {
  eachRun(kinds, (type, start, end) => {
    if (type === kind) for (let index = start; index < end; index++) visit(index);
  });
}

const SEVERAL_PROCESSES = '(several processes)';
const BY_SEVERAL: MappedBy = { name: SEVERAL_PROCESSES };

function nameOf({ processes: [first] }: AddressSpace): MappedBy {
  return { name: first?.comm ?? '', ...(first === undefined ? {} : { pid: first.pid }) };
}

function sums(
  spaces: readonly (AddressSpace | undefined)[],
  owners: Owners,
  kinds: Uint8Array,
  kind: number,
  pageSize: number,
): Owner[] {
  const frames = new Array<number>(spaces.length + FIRST).fill(0);
  eachOfKind(kinds, kind, (index) => {
    frames[owners[index]!]!++;
  });
  const several: Owner = { kind: 'process', name: SEVERAL_PROCESSES, bytes: (frames[SEVERAL] ?? 0) * pageSize };
  const own = spaces.flatMap((space, index): Owner[] => {
    if (!space) return [];
    return [{ kind: 'process', ...nameOf(space), bytes: (frames[index + FIRST] ?? 0) * pageSize }];
  });
  return [...own, several].filter(({ bytes }) => bytes > 0);
}

/** Facts about the machine. */
interface LooseFacts {
  readonly scan: FrameScan;
  readonly counts: KernelCounts;
  readonly places: readonly Zone[];
}

/**
 * Describes unattributed memory: blocks by size, zones, and the amount charged to cgroups. Null if that
 * is impossible; a warning gives the reason.
 */
export function describeLoose(
  kernel: Kernel,
  ledger: FrameLedger,
  { scan, counts, places }: LooseFacts,
  warnings: Warnings,
): Loose | null {
  try {
    const sizes = new Map<number, { blocks: number; frames: number }>();
    const several = new Set(places.map(({ nodeId }) => nodeId)).size > 1;
    const byZone = new Map<string, number>();
    let charged = 0;
    for (const block of looseBlocks(kernel, ledger.framesOf('unattributed'))) {
      const order = Math.ceil(Math.log2(block.frames));
      const size = sizes.get(order) ?? { blocks: 0, frames: 0 };
      sizes.set(order, size);
      size.blocks++;
      size.frames += block.frames;
      if (block.charge !== 0n) charged += block.frames;
      const zone = places.find(({ start, spanned }) => block.frame >= start && block.frame < start + spanned);
      const name = zone === undefined ? '?' : several ? `${zone.nodeId} ${zone.name}` : zone.name;
      byZone.set(name, (byZone.get(name) ?? 0) + block.frames);
    }
    const large = largeKmallocs(scan, ledger, counts);
    return {
      sizes: [...sizes].map(([order, size]) => ({ order, ...size })).toSorted((a, b) => a.order - b.order),
      zones: [...byZone].map(([zone, frames]) => ({ zone, frames })),
      chargedBytes: charged * kernel.facts.pageSize,
      largeKmallocBytes: large === null ? null : large * kernel.facts.pageSize,
    };
  } catch (error) {
    addError(warnings, 'unattributed memory', error);
    return null;
  }
}

/**
 * Pages of large kmallocs that have no mark; null: they have one. Before 6.15 they have none, and the kernel counts them with unreclaimable slab, whose
 * pages have one.
 */
function largeKmallocs(scan: FrameScan, ledger: FrameLedger, counts: KernelCounts): number | null {
  const counted = counts.get('all-slab');
  if (counted === undefined || (ledger.sums().get('large-kmalloc') ?? 0) > 0) return null;
  let slabs = 0;
  for (const { reclaimable, frames } of scan.slabs.values()) if (!reclaimable) slabs += frames;
  return counted - slabs;
}
