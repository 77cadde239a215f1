import { damaged, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { CATEGORIES, type CategoryName } from '../../records/categories.js';
import { needSymbol } from '../../walk/cpus.js';
import { FrameMap, framesOfPages } from '../../walk/memory/page-array.js';
import { type FrameRange, mappedFrames } from '../../walk/memory/ram.js';
import { UnusedStacks } from '../../walk/memory/stacks.js';
import type { VmArea } from '../../walk/memory/vm-areas.js';
import { looseBlocks } from '../../walk/pages/block.js';
import { PageReader } from '../../walk/pages/pages.js';
import { ChildCaches, type SlabCacheFacts, SlabCacheNames } from '../../walk/pages/slab-caches.js';
import { SlabScan } from '../../walk/pages/slab-scan.js';
import { SlotUse } from '../../walk/pages/slot-use.js';
import { struct } from '../../walk/pages/struct-page.js';
import { type IndexedTargets, Targets } from '../../walk/references/target-index.js';
import { StructReader } from '../../walk/struct-reader.js';
import { Warnings } from '../../walk/warnings.js';
import type { SlabObject } from '../allocation-record.js';
import { type Areas, categoryOfCaller, takesStacks } from '../memory/areas.js';
import type { MemoryPlaces } from '../memory/memory.js';
import { attempted } from '../memory/missed.js';
import { MappedFrames } from './mapped-frames.js';

/** An allocation that something should refer to. */
export type Allocation =
  | {
      readonly kind: 'slab-object';
      readonly address: bigint;
      readonly bytes: number;
      /** Name of its cache. Untrusted. */
      readonly name: string;
      readonly object: SlabObject;
    }
  | { readonly kind: 'pages'; readonly address: bigint; readonly frame: number; readonly bytes: number }
  | {
      readonly kind: 'vmalloc-area';
      readonly address: bigint;
      readonly bytes: number;
      /** Function that allocated it; null: unknown. */
      readonly name: string | null;
    };

/** What the words in a page frame are, for a search for references. */
const ROLE = {
  /** Free: neither the page nor its `struct page` has references. */
  free: 0,
  /** Data of processes, files and devices, and page tables: only its `struct page` may have references. */
  data: 6,
  stack: 7,
  /** A hash table of the kernel: `root`, too. */
  table: 8,
  /** Memory that is in use whatever refers to it. */
  root: 1,
  /** The array of `struct page`: each belongs to what its page belongs to. */
  memmap: 2,
  slab: 3,
  block: 4,
  area: 5,
} as const;

/** Categories whose memory is in use, but contains no addresses that the kernel follows. */
const ROLES: Partial<Readonly<Record<CategoryName, number>>> = {
  'free-cpu-lists': ROLE.free,
  'free-buddy': ROLE.free,
  'free-unaccepted': ROLE.free,
  'free-uninitialized': ROLE.free,
  anonymous: ROLE.data,
  'page-cache': ROLE.data,
  shared: ROLE.data,
  secret: ROLE.data,
  'swap-cache': ROLE.data,
  hugetlb: ROLE.data,
  pipes: ROLE.data,
  'page-tables': ROLE.data,
  compressed: ROLE.data,
  balloon: ROLE.data,
  'crash-kernel': ROLE.data,
  memmap: ROLE.memmap,
  'kernel-stacks': ROLE.stack,
  tables: ROLE.table,
  'slab-reclaimable': ROLE.slab,
  'slab-unreclaimable': ROLE.slab,
  'large-kmalloc': ROLE.block,
  unattributed: ROLE.block,
  vmalloc: ROLE.area,
  bpf: ROLE.area,
};

/** Places that are no allocations: always in use, a stack as well, or never a reference. */
export const ROOT = -1;
export const NO_SOURCE = -2;
export const STACK = -3;

/** All allocations of a kernel: slab objects, page blocks and vmalloc areas, as targets of a search. */
export class Allocations {
  readonly targets: IndexedTargets;
  /** Physical addresses of memory that may contain references. */
  readonly ranges: readonly { readonly start: number; readonly end: number }[];
  /** Objects of which it is unknown whether they are allocated. */
  readonly undecided: readonly number[];
  /** References that no word has: from an area to its `struct vm_struct` and its pages. */
  readonly implied: readonly Implied[];
  /** What stacks refer to that RCU will free: the next objects on its lists of callbacks. */
  readonly pending: readonly bigint[];
  readonly #kernel: Kernel;
  readonly #roles: Uint8Array;
  readonly #frames: FrameMap;
  readonly #mapped: MappedFrames;
  readonly #pages: PageReader;
  readonly #names: SlabCacheNames;
  /** Areas by address, and by the physical start of a run of their pages. */
  readonly #callers: Areas;
  readonly #areas: ReadonlyMap<bigint, VmArea>;
  readonly #areaOf: ReadonlyMap<number, VmArea>;
  readonly #areaNumbers: ReadonlyMap<bigint, number>;
  /** Targets that the kernel's list of areas refers to: areas, and their `struct vm_struct`. */
  readonly #areaRecords: ReadonlySet<number>;
  readonly #unused: UnusedStacks | undefined;
  readonly #sheaf: SheafLayout | undefined;
  /** Whether each object is a sheaf: 2 if it is, 1 if not, 0 if unknown. */
  readonly #sheaves: Uint8Array;
  readonly #pageStruct: number;

  constructor(
    kernel: Kernel,
    places: MemoryPlaces,
    ram: readonly FrameRange[],
    warnings: Warnings,
    progress: (part: number) => void,
  ) {
    const { pageSize } = kernel.facts;
    this.#kernel = kernel;
    this.#pageStruct = struct(kernel, 'page').size;
    this.#frames = new FrameMap(ram);
    this.#pages = new PageReader(kernel);
    this.#names = new SlabCacheNames(kernel);
    const byNumber = [ROLE.root, ...CATEGORIES.map((name) => ROLES[name] ?? ROLE.root)];
    this.#roles = places.ledger.numbers.map((number) => byNumber[number]!);
    this.#mapped = new MappedFrames(kernel, ram, warnings);
    this.#unused = attempted(warnings, 'stacks of threads', () => new UnusedStacks(kernel));
    const targets = new Targets(MAX_ALLOCATIONS);
    const frames = { roles: this.#roles, frames: this.#frames };
    const { areas, runs, implied, pending } = addAreas(kernel, places, frames, targets, warnings);
    for (const category of ['large-kmalloc', 'unattributed'] as const)
      for (const { frame, frames } of looseBlocks(kernel, places.ledger.framesOf(category)))
        targets.add({ start: frame * pageSize, length: frames * pageSize, complete: true });
    const { unknown, caches } = addObjects(kernel, frames, targets, warnings, progress);
    this.targets = targets.index(kernel);
    this.#sheaf = sheafLayout(kernel, caches);
    this.#sheaves = new Uint8Array(this.#sheaf === undefined ? 0 : this.targets.size);
    this.#areas = areas;
    this.#callers = places.areas;
    this.#areaOf = runs;
    const numbers = new Map<bigint, number>();
    for (let number = this.targets.size - 1; number >= 0; number--) {
      const target = this.targets.at(number);
      if (!('address' in target)) break;
      numbers.set(target.address, number);
    }
    this.#areaNumbers = numbers;
    this.undecided = unknown.map((start) => this.targets.numberAt(start));
    this.implied = implied;
    this.pending = pending;
    const structs = Array.from(areas.values(), ({ vm }) => this.numberOf(vm));
    this.#areaRecords = new Set([...numbers.values(), ...structs]);
    this.ranges = this.#rangesToScan();
  }

  /** The allocation that contains an address; -1: none. */
  numberOf(address: bigint): number {
    const frame = this.#kernel.pages.frameOf(new Pointer(address));
    if (frame < 0) return this.#areaNumbers.get(address) ?? -1;
    const { pageSize } = this.#kernel.facts;
    const index = this.targets.numberAt(frame * pageSize + Number(address % BigInt(pageSize)));
    return index < 0 ? -1 : this.allocationOf(index);
  }

  /** The allocation of a target: all pages of an area are one. */
  allocationOf(target: number): number {
    const known = this.targets.at(target);
    if ('address' in known) return target;
    const area = this.#areaOf.get(known.start);
    return area === undefined ? target : (this.#areaNumbers.get(area.address) ?? target);
  }

  /** The allocation that a word is in, or belongs to; ROOT or NO_SOURCE where there is none. */
  sourceOf(physical: number, target: number): number {
    const { pageSize } = this.#kernel.facts;
    const frame = Math.floor(physical / pageSize);
    switch (this.#roles[this.#frames.indexOf(frame)]) {
      case ROLE.free:
      case ROLE.data:
        return NO_SOURCE;
      case ROLE.memmap:
        return this.#described(physical, frame);
      case ROLE.slab: {
        const index = this.targets.numberAt(physical);
        if (index < 0) return NO_SOURCE;
        const isList =
          this.#isInSheaf(index, physical) || (this.#areaRecords.has(target) && this.#isAreaRecord(index, physical));
        return isList ? NO_SOURCE : index;
      }
      case ROLE.block:
      case ROLE.area: {
        const index = this.targets.numberAt(physical);
        return index < 0 ? ROOT : this.allocationOf(index);
      }
      case ROLE.stack:
        return this.#unused?.has(this.#addressOf(physical, frame)) ? NO_SOURCE : STACK;
      default:
        return ROOT;
    }
  }

  /** The address by which the kernel uses memory that an area may map. */
  #addressOf(physical: number, frame: number): bigint {
    const page = this.#mapped.addressOf(frame) ?? this.#kernel.pages.addressOfFrame(frame) ?? 0n;
    return page + BigInt(physical % this.#kernel.facts.pageSize);
  }

  /** What a `struct page` belongs to. */
  #described(physical: number, frame: number): number {
    const address = this.#mapped.addressOf(frame);
    if (address === undefined) return ROOT;
    const { pageSize } = this.#kernel.facts;
    const into = Number(address - this.#kernel.pages.pageOfFrame(0)) + (physical % pageSize);
    const of = Math.floor(into / this.#pageStruct);
    const index = this.#frames.indexOf(of);
    const category = index < 0 ? undefined : this.#roles[index];
    if (category === ROLE.free) return NO_SOURCE;
    if (category !== ROLE.block && category !== ROLE.area) return ROOT;
    const at = this.targets.numberAt(of * pageSize);
    return at < 0 ? ROOT : this.allocationOf(at);
  }

  /** Whether an allocation has memory of its own: areas may map that of others. */
  isCandidate(number: number): boolean {
    const target = this.targets.at(number);
    return !('address' in target) || this.#areas.get(target.address)?.owns === true;
  }

  /** The page frame of an allocation that is a block of one page; -1: it is none. */
  singlePage(number: number): number {
    const { pageSize } = this.#kernel.facts;
    const target = this.targets.at(number);
    if ('address' in target || target.length !== pageSize) return -1;
    const frame = target.start / pageSize;
    return this.#roles[this.#frames.indexOf(frame)] === ROLE.block ? frame : -1;
  }

  /** Whether a page frame is part of a hash table of the kernel. */
  isTable(frame: number): boolean {
    return this.#roles[this.#frames.indexOf(frame)] === ROLE.table;
  }

  describe(number: number): Allocation {
    const { pageSize } = this.#kernel.facts;
    const target = this.targets.at(number);
    const address = this.targets.addressOf(this.#kernel, number);
    if ('address' in target) {
      const area = this.#areas.get(address);
      if (!area) throw damaged(`no area at ${hex(address)}`);
      return { kind: 'vmalloc-area', address, name: this.#callers.caller(area) ?? null, bytes: target.length };
    }
    const frame = Math.floor(target.start / pageSize);
    const bytes = target.length;
    const block = this.#pages.block(this.#kernel.pages.pageOfFrame(frame));
    if (target.complete || block.kind !== 'slab') return { kind: 'pages', address, frame, bytes };
    const { start, cache } = block;
    const index = Math.floor(Number(address - start) / cache.slotSize);
    const slab = this.#kernel.pages.pageOfFrame(block.frame);
    const { name } = this.#names.of(cache.address);
    return { kind: 'slab-object', address, bytes, name, object: { cache: cache.address, address, slab, index } };
  }

  /**
   * Whether a word is the address of an area in its `struct vmap_area`, which lists every area, leaked or not. The
   * end of an area, which a free range has too, is where the next one begins.
   */
  #isAreaRecord(source: number, physical: number): boolean {
    const reader = StructReader.ifPresent(this.#kernel, 'vmap_area', ['va_start', 'va_end', 'vm']);
    const [area] = this.#areas.values();
    if (!reader || !area) return false;
    const object = this.targets.addressOf(this.#kernel, source);
    if (this.#cacheAt(object) !== this.#cacheAt(area.record)) return false;
    const target = this.targets.at(source);
    const into = 'address' in target ? -1 : physical - target.start;
    const places = (['va_start', 'va_end', 'vm'] as const).map((name) => reader.offset(name));
    if (!places.includes(into)) return false;
    const view = reader.read(object);
    const [start, end] = [view.pointer('va_start'), view.pointer('va_end')];
    const page = BigInt(this.#kernel.facts.pageSize);
    return start < end && start >= TOP_HALF && start % page === 0n && end % page === 0n;
  }

  /**
   * Whether a word is in the array of a `struct slab_sheaf`, whose objects are free; behind them are those that were
   * (mm/slub.c, since 6.18).
   */
  #isInSheaf(source: number, physical: number): boolean {
    const { targets } = this;
    const target = targets.at(source);
    if (this.#sheaf === undefined || 'address' in target) return false;
    const { reader, caches, objects } = this.#sheaf;
    if (physical - target.start < objects || target.length <= objects) return false;
    this.#sheaves[source] ||= 1 + (caches.has(reader(targets.addressOf(this.#kernel, source))) ? 1 : 0);
    return this.#sheaves[source] === 2;
  }

  /** The slab cache of an object; undefined: it is no object of one. */
  #cacheAt(address: bigint): bigint | undefined {
    const page = this.#kernel.pages.pageOf(address);
    const block = page === undefined ? undefined : this.#pages.block(page);
    return block?.kind === 'slab' ? block.cache.address : undefined;
  }

  #rangesToScan(): { start: number; end: number }[] {
    const { pageSize } = this.#kernel.facts;
    const ranges: { start: number; end: number }[] = [];
    let index = 0;
    for (const { start, end } of this.#frames.ranges)
      for (let frame = start; frame < end; frame++, index++) {
        if (this.#roles[index] === ROLE.free || this.#roles[index] === ROLE.data) continue;
        const last = ranges.at(-1);
        if (last?.end === frame * pageSize) last.end += pageSize;
        else ranges.push({ start: frame * pageSize, end: (frame + 1) * pageSize });
      }
    return ranges;
  }
}

/** Maximum number of allocations: about 1 GiB of arrays. */
const MAX_ALLOCATIONS = 2 ** 25;

const TOP_HALF = 2n ** 63n;

/** A reference that no word has. */
export interface Implied {
  /** Address of the area. */
  readonly from: bigint;
  readonly to: bigint;
}

interface Frames {
  readonly frames: FrameMap;
  readonly roles: Uint8Array;
}

/** Areas that are targets, and the physical start of each run of their pages. */
interface AreasAdded {
  readonly areas: ReadonlyMap<bigint, VmArea>;
  readonly runs: ReadonlyMap<number, VmArea>;
  readonly implied: readonly Implied[];
  readonly pending: readonly bigint[];
}

/**
 * Page frames that an area owns, or only maps (vmap): they are in use as long as the area is. None for stacks of threads
 * and modules, which are no allocations of a caller.
 */
export function framesOfArea(
  kernel: Kernel,
  areas: Areas,
  area: VmArea,
  warnings: Warnings,
): readonly number[] | undefined {
  if (areas.isStack(area) || categoryOfCaller(areas.caller(area)) === 'modules') return undefined;
  const { owns, pages, count } = area;
  return attempted(warnings, 'a vmalloc area', () => [
    ...(owns ? framesOfPages(kernel, 'an area', pages, count) : mappedFrames(kernel, area)),
  ]);
}

/** Adds areas with their pages, and areas that only map page blocks. */
function addAreas(
  kernel: Kernel,
  { areas }: MemoryPlaces,
  { roles, frames }: Frames,
  targets: Targets,
  warnings: Warnings,
): AreasAdded {
  const { pageSize } = kernel.facts;
  const added = new Map<bigint, VmArea>();
  const runs = new Map<number, VmArea>();
  const implied: Implied[] = [];
  const pending: bigint[] = [];
  const freesStack = kernel.symbol('thread_stack_free_rcu');
  const taken = new Uint8Array(roles.length);
  let end = 0n;
  attempted(warnings, 'vmalloc areas', () => {
    const all = [...areas.all()].toSorted((a, b) => (a.address < b.address ? -1 : 1));
    for (const area of all) {
      const { address, bytes, pages, count, owns, vm } = area;
      if (address < end) throw damaged(`the area at ${hex(address)} overlaps another`);
      end = address + BigInt(bytes);
      const members = framesOfArea(kernel, areas, area, warnings);
      if (!members) continue;
      // CPUs cache stacks of threads that have exited: nothing uses what is in them.
      const isFreeStack = takesStacks(areas.caller(area) ?? '');
      const own = members.filter((frame) => {
        const index = frames.indexOf(frame);
        return roles[index] === (owns ? ROLE.area : ROLE.block);
      });
      // Until a grace period ends, a stack begins with its rcu_head (struct vm_stack, kernel/fork.c; since 5.16).
      const head = isFreeStack && freesStack ? readOrNot(() => kernel.read(address, 16)) : undefined;
      if (head && head.getBigUint64(8, true) === freesStack) pending.push(head.getBigUint64(0, true));
      if (isFreeStack) for (const frame of own) roles[frames.indexOf(frame)] = ROLE.data;
      if (own.length === 0 || isFreeStack) continue;
      added.set(address, area);
      targets.addVirtual({ address, length: owns ? count * pageSize : bytes });
      implied.push({ from: address, to: vm });
      if (owns) implied.push({ from: address, to: pages });
      let run: { readonly start: number; length: number } | undefined;
      for (const frame of own) {
        const start = frame * pageSize;
        if (!owns) {
          implied.push({ from: address, to: kernel.pages.addressOfFrame(frame) ?? 0n });
          continue;
        }
        const index = frames.indexOf(frame);
        if (taken[index] === 1) throw damaged(`two areas have page frame ${frame}`);
        taken[index] = 1;
        if (run && run.start + run.length === start) run.length += pageSize;
        else {
          if (run) targets.add({ ...run, complete: true });
          run = { start, length: pageSize };
          runs.set(start, area);
        }
      }
      if (run) targets.add({ ...run, complete: true });
    }
  });
  return { areas: added, runs, implied, pending };
}

/** What a `struct slab_sheaf` is recognized by: its cache. */
interface SheafLayout {
  /** Address of the cache of the sheaf at an address. */
  readonly reader: (sheaf: bigint) => bigint;
  readonly caches: ReadonlySet<bigint>;
  /** Offset of the array of objects. */
  readonly objects: number;
}

function sheafLayout(kernel: Kernel, caches: ReadonlySet<bigint>): SheafLayout | undefined {
  const sheaf = StructReader.ifPresent(kernel, 'slab_sheaf', ['cache']);
  const objects = kernel.struct('slab_sheaf')?.member('objects')?.offset;
  if (!sheaf || objects === undefined) return undefined;
  const reader = (at: bigint) => readOrNot(() => sheaf.read(at).pointer('cache')) ?? 0n;
  return { reader, caches, objects };
}

interface ObjectsAdded {
  /** Physical addresses of objects of which it is unknown whether they are allocated. */
  readonly unknown: readonly number[];
  readonly caches: ReadonlySet<bigint>;
}

/** Adds all allocated slab objects. */
function addObjects(
  kernel: Kernel,
  { roles, frames }: Frames,
  targets: Targets,
  warnings: Warnings,
  progress: (part: number) => void,
): ObjectsAdded {
  const { pageSize } = kernel.facts;
  const reader = new StructReader(kernel, 'kmem_cache', ['list']);
  const children = new ChildCaches(kernel);
  const names = new SlabCacheNames(kernel);
  const caches = new Map<bigint, SlabCacheFacts>();
  for (const cache of reader.entryAddresses(needSymbol(kernel, 'slab_caches'), 'list'))
    if (children.rootOf(cache) === cache) caches.set(cache, names.of(cache));
  const scanned = new Warnings();
  const use = new SlotUse(kernel, scanned);
  const unknown: number[] = [];
  const at = new Pointer();
  for (const slot of new SlabScan(kernel, scanned).slots(new Set(caches.keys()), { progress })) {
    const isInUse = use.isInUse(slot);
    if (isInUse === false) continue;
    const { objectSize, slotSize } = caches.get(slot.cache)!;
    const frame = kernel.pages.frameOf(at.set(slot.object));
    const index = frames.indexOf(frame);
    if (roles[index] !== ROLE.slab) continue;
    // KFENCE places its only object anywhere in the page.
    if (slot.slab.objects === 1 && 2 * slotSize <= pageSize) {
      roles[index] = ROLE.root;
      continue;
    }
    const start = frame * pageSize + Number(slot.object % BigInt(pageSize));
    targets.add({ start, length: objectSize, complete: false });
    if (isInUse === undefined) unknown.push(start);
  }
  for (const { code, message } of scanned.list()) warnings.add(code, message.replace(/: sockets that .*/, ''));
  return { unknown, caches: new Set(caches.keys()) };
}
