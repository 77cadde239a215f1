import { KernelError, ReadError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { ownFrames, type SiteFrame } from '../../records/allocation-sites.js';
import { CATEGORIES, type CategoryName } from '../../records/categories.js';
import { AllocationTags, profilingState } from '../../walk/allocations/alloc-tags.js';
import { PageOwner, pageOwnerState, type RecordState } from '../../walk/allocations/page-owner.js';
import { SlabTracks, StackDepot, siteFrames } from '../../walk/allocations/stack-depot.js';
import type { FrameMap } from '../../walk/memory/page-array.js';
import { findOrNot } from '../../walk/named-read.js';
import { reclaimTest, SlabCacheNames } from '../../walk/pages/slab-caches.js';
import { SlabScan } from '../../walk/pages/slab-scan.js';
import { SlotUse } from '../../walk/pages/slot-use.js';
import { addError, Warnings } from '../../walk/warnings.js';
import type { Areas } from './areas.js';
import type { FrameLedger } from './frame-ledger.js';
import { codeOf } from './missed.js';

/** Where the kernel notes allocation sites. */
export type SiteSourceName = 'page-owner' | 'allocation-tags' | 'slab-tracks' | 'vmalloc-callers';

interface Amounts {
  readonly bytes: number;
  readonly allocations: number;
  /** By category, largest first; empty: unknown. */
  readonly categories: readonly { readonly category: CategoryName; readonly bytes: number }[];
}

/** What an allocation site holds. Names are untrusted. */
export interface AllocationSite extends Amounts {
  readonly kind: 'stack' | 'line' | 'caller';
  /** Innermost first; empty: unknown. */
  readonly frames: readonly SiteFrame[];
  /** Slab cache of its objects; null: not of a cache, or of several. */
  readonly cache: string | null;
}

/** What the sites in a module hold; null: the kernel image. */
export interface ModuleSites extends Amounts {
  readonly module: string | null;
  readonly sites: number;
}

/** One source of allocation sites. */
export interface SiteSource {
  readonly source: SiteSourceName;
  readonly state: RecordState | 'unreadable';
  /** Why it has no sites; null: it has. */
  readonly why: string | null;
  /** What all of its sites hold. */
  readonly bytes: number;
  readonly allocations: number;
  /** The kernel’s own count, where it has one for a stack, else as listed; null: it has none. */
  readonly countedBytes: number | null;
  /** Pages of slabs, whose objects have sites of their own: not in `bytes`. */
  readonly slabPageBytes: number;
  /** Largest first. */
  readonly sites: readonly AllocationSite[];
  readonly omitted: { readonly sites: number; readonly bytes: number };
  readonly modules: readonly ModuleSites[];
}

/** Listed sites of a source, and stacks that are told apart. */
const MAX_LISTED = 10_000;
const MAX_STACKS = 2 ** 16;

const OFF: Readonly<Record<Exclude<SiteSourceName, 'vmalloc-callers'>, Record<'off' | 'absent', string>>> = {
  'page-owner': {
    off: 'page_owner is off: boot with page_owner=on',
    absent: 'this kernel was built without CONFIG_PAGE_OWNER',
  },
  'allocation-tags': {
    off: 'allocation profiling is off: boot with sysctl.vm.mem_profiling=1',
    absent: 'this kernel was built without CONFIG_MEM_ALLOC_PROFILING',
  },
  'slab-tracks': {
    off: 'slab user tracking is off: boot with slub_debug=U',
    absent: 'this kernel was built without CONFIG_SLUB_DEBUG',
  },
};

/** Page frames and their categories. */
interface Frames {
  readonly frames: FrameMap;
  readonly ledger: FrameLedger;
  readonly areas: Areas;
}

/**
 * Memory by allocation site, as far as the kernel noted sites. Sources overlap: pages of slabs, objects and
 * vmalloc areas each have records of their own.
 */
export function accountSites(kernel: Kernel, places: Frames, warnings: Warnings): SiteSource[] {
  let depot: StackDepot | undefined;
  const stacks = () => {
    depot ??= new StackDepot(kernel);
    return depot;
  };
  return [
    sourceOf('page-owner', warnings, (sum) => {
      const state = pageOwnerState(kernel);
      if (state === 'on') addPages(kernel, places, stacks(), sum, warnings);
      return state;
    }),
    sourceOf('allocation-tags', warnings, (sum) => {
      const state = profilingState(kernel);
      if (state === 'on') addTags(kernel, sum, warnings);
      return state;
    }),
    sourceOf('slab-tracks', warnings, (sum) => addObjects(kernel, stacks, sum, warnings)),
    sourceOf('vmalloc-callers', warnings, (sum) => {
      addAreas(kernel, places, sum);
      return 'on';
    }),
  ];
}

/** Sums of one source. */
class SiteSums {
  countedBytes: number | null = null;
  slabPageBytes = 0;
  readonly #sites = new Map<string, Sum>();

  /** The sum of a site, which `make` describes when it is met first. */
  of(key: string, make: () => Pick<AllocationSite, 'kind' | 'frames' | 'cache'>): Sum {
    const known = this.#sites.get(key);
    if (known) return known;
    const sum = { ...make(), bytes: 0, allocations: 0, categories: new Map<CategoryName, number>() };
    this.#sites.set(key, sum);
    return sum;
  }

  answer(source: SiteSourceName, state: SiteSource['state'], why: string | null): SiteSource {
    const all = [...this.#sites.values()].map((sum) => ({ ...sum, categories: listed(sum) }));
    const sites = all.toSorted((a, b) => b.bytes - a.bytes);
    const rest = sites.slice(MAX_LISTED);
    const bytesOf = (some: readonly AllocationSite[]) => some.reduce((sum, site) => sum + site.bytes, 0);
    return {
      source,
      state,
      why,
      bytes: bytesOf(sites),
      allocations: sites.reduce((sum, site) => sum + site.allocations, 0),
      countedBytes: this.countedBytes,
      slabPageBytes: this.slabPageBytes,
      omitted: { sites: rest.length, bytes: bytesOf(rest) },
      modules: this.#modules(),
      sites: sites.slice(0, MAX_LISTED),
    };
  }

  #modules(): ModuleSites[] {
    const sums = new Map<string | null, Omit<Sum, 'kind' | 'frames' | 'cache'> & { sites: number }>();
    for (const site of this.#sites.values()) {
      const module = moduleOf(site.frames);
      const sum = sums.get(module) ?? { bytes: 0, allocations: 0, sites: 0, categories: new Map() };
      sums.set(module, sum);
      sum.sites++;
      sum.bytes += site.bytes;
      sum.allocations += site.allocations;
      for (const [category, bytes] of site.categories)
        sum.categories.set(category, (sum.categories.get(category) ?? 0) + bytes);
    }
    return [...sums]
      .map(([module, sum]) => ({ ...sum, module, categories: listed(sum) }))
      .toSorted((a, b) => b.bytes - a.bytes);
  }
}

type Sum = Pick<AllocationSite, 'kind' | 'frames' | 'cache'> & {
  bytes: number;
  allocations: number;
  readonly categories: Map<CategoryName, number>;
};

function listed({ categories }: Pick<Sum, 'categories'>): Amounts['categories'] {
  return [...categories].map(([category, bytes]) => ({ category, bytes })).toSorted((a, b) => b.bytes - a.bytes);
}

/** The module that an allocation is made for: the innermost one on its stack. */
function moduleOf(frames: readonly SiteFrame[]): string | null {
  return ownFrames(frames).find(({ module }) => module !== null)?.module ?? null;
}

/** An unsupported or unreadable source makes the answer incomplete, and lacks all of its sites. */
function sourceOf(source: SiteSourceName, warnings: Warnings, add: (sums: SiteSums) => RecordState): SiteSource {
  const sums = new SiteSums();
  try {
    const state = add(sums);
    const isOn = state === 'on' || source === 'vmalloc-callers';
    return sums.answer(source, state, isOn ? null : OFF[source][state]);
  } catch (error) {
    const why = (error as Error).message;
    warnings.add(codeOf(error), `${source}: ${why}`);
    return new SiteSums().answer(source, 'unreadable', why);
  }
}

/** Pages of one stack: frames by category, and allocations. */
interface StackPages {
  readonly handle: number;
  readonly frames: Float64Array;
  blocks: number;
}

function addPages(
  kernel: Kernel,
  { frames, ledger }: Frames,
  depot: StackDepot,
  sums: SiteSums,
  warnings: Warnings,
): void {
  const owner = new PageOwner(kernel);
  const numbers = ledger.numbers;
  const isFree = [true, ...CATEGORIES.map((category) => category.startsWith('free-'))];
  const byHandle = new Map<number, StackPages>();
  const pagesOf = (handle: number): StackPages => {
    const known = byHandle.get(handle);
    if (known) return known;
    // Beyond the limit all are one; no depot has as many stacks.
    const key = byHandle.size < MAX_STACKS ? handle : 0;
    const pages = { handle: key, frames: new Float64Array(CATEGORIES.length + 1), blocks: 0 };
    byHandle.set(handle, byHandle.get(key) ?? pages);
    return byHandle.get(handle) ?? pages;
  };
  let [free, lost] = [0, 0];
  let whyLost: Error | undefined;
  for (const { start, end } of frames.ranges)
    owner.scan(start, end, {
      allocated: (frame, handle, order) => {
        const category = numbers[frames.indexOf(frame)] ?? 0;
        if (isFree[category]) {
          free++;
          return;
        }
        const pages = pagesOf(handle);
        pages.frames[category]!++;
        if (frame % 2 ** order === 0) pages.blocks++;
      },
      lost: (count, error) => {
        lost += count;
        whyLost ??= error;
      },
    });
  if (lost > 0) warnings.add('unreadable', `page_owner: ${lost} page frames have no entry: ${whyLost?.message}`);
  // Between free and page_owner’s note of it, a CPU may have stopped.
  if (free > 0 && !kernel.facts.live)
    warnings.add('corrupt', `page_owner: ${free} page frames are free, but noted as allocated`);
  addStacks(kernel, new Set(byHandle.values()), depot, sums, warnings);
}

function addStacks(
  kernel: Kernel,
  all: Iterable<StackPages>,
  depot: StackDepot,
  sums: SiteSums,
  warnings: Warnings,
): void {
  const { pageSize } = kernel.facts;
  let [counted, isCounted] = [0, false];
  for (const { handle, frames, blocks } of all) {
    const stack = tried(warnings, 'page_owner', () => (handle === 0 ? undefined : depot.of(handle)));
    const addresses = stack?.addresses ?? [];
    const sum = sums.of(addresses.join(), () => ({
      kind: 'stack',
      cache: null,
      frames: siteFrames(kernel, addresses),
    }));
    sum.allocations += blocks;
    let own = 0;
    for (const [number, count] of frames.entries()) {
      const category = CATEGORIES[number - 1];
      if (count === 0 || category === undefined) continue;
      own += count;
      const bytes = count * pageSize;
      sum.bytes += bytes;
      sum.categories.set(category, (sum.categories.get(category) ?? 0) + bytes);
    }
    if (stack?.pages !== undefined) isCounted = true;
    counted += stack?.pages ?? own;
  }
  if (isCounted) sums.countedBytes = counted * pageSize;
}

/** Pages of slabs: their objects are counted at their own sites. */
const SLAB_PAGES = /(^|\/)mm\/slub\.c:\d+$/;

function addTags(kernel: Kernel, sums: SiteSums, warnings: Warnings): void {
  const tags = new AllocationTags(kernel);
  const lost = (error: Error): void =>
    warnings.add(error instanceof ReadError ? 'unreadable' : 'corrupt', `allocation profiling: ${error.message}`);
  let inaccurate = 0;
  for (const { line, symbol, module, bytes, calls, inaccurate: isLow } of tags.all(lost)) {
    if (isLow) inaccurate++;
    if (SLAB_PAGES.test(line)) {
      sums.slabPageBytes += bytes;
      continue;
    }
    const frames = [{ symbol, offset: null, module, line, guess: false }];
    const key = `${line} ${module ?? ''} ${symbol}`;
    const sum = sums.of(key, () => ({ kind: 'line', cache: null, frames }));
    sum.bytes += bytes;
    sum.allocations += calls;
  }
  if (inaccurate > 0)
    warnings.add(
      'unreadable',
      `allocation profiling: ${inaccurate} sites have allocations that the kernel could not count`,
    );
}

function addObjects(kernel: Kernel, depot: () => StackDepot, sums: SiteSums, warnings: Warnings): RecordState {
  if (!kernel.struct('track')) return 'absent';
  const tracks = new SlabTracks(kernel);
  const caches = new Set(tracks.caches());
  if (caches.size === 0) return 'off';
  const names = new SlabCacheNames(kernel);
  const shrinks = reclaimTest(kernel);
  const facts = new Map(
    [...caches].map((cache) => {
      const category = shrinks(cache) ? 'slab-reclaimable' : 'slab-unreclaimable';
      return [cache, { ...names.of(cache), category }] as const;
    }),
  );
  const scanned = new Warnings();
  const slots = new SlotUse(kernel, scanned);
  let unknown = 0;
  for (const slot of new SlabScan(kernel, scanned).slots(caches)) {
    const isInUse = slots.isInUse(slot);
    const of = facts.get(slot.cache);
    if (isInUse === undefined) unknown++;
    if (!isInUse || !of) continue;
    const track = tried(warnings, 'slab user tracking', () => tracks.of(slot.slab.cache, slot.object, depot));
    const addresses = track?.addresses ?? [];
    const sum = sums.of(`${slot.cache} ${addresses.join()}`, () => ({
      kind: 'stack',
      cache: of.name,
      frames: siteFrames(kernel, addresses),
    }));
    sum.allocations++;
    sum.bytes += of.objectSize;
    sum.categories.set(of.category, (sum.categories.get(of.category) ?? 0) + of.objectSize);
  }
  if (unknown > 0) warnings.add('unreadable', `slab user tracking: ${unknown} objects may be allocated or free`);
  for (const { code, message } of scanned.list())
    warnings.add(code, `slab user tracking: ${message.replace(/: sockets that .*/, '')}`);
  return 'on';
}

function addAreas(kernel: Kernel, { areas, ledger }: Frames, sums: SiteSums): void {
  const { pageSize } = kernel.facts;
  const met = new Set<bigint>();
  for (const { area, frame } of areas.frames('a vmap area', ({ owns }) => owns)) {
    const symbol = findOrNot(() => kernel.symbolAt?.(area.caller));
    const { name = null, module = null } = symbol ?? {};
    const sum = sums.of(`${name} ${module}`, () => ({
      kind: 'caller',
      cache: null,
      frames: name === null ? [] : [{ symbol: name, offset: null, module, line: null, guess: false }],
    }));
    if (!met.has(area.vm)) sum.allocations++;
    met.add(area.vm);
    sum.bytes += pageSize;
    const category = ledger.categoryOf(frame);
    if (category !== undefined) sum.categories.set(category, (sum.categories.get(category) ?? 0) + pageSize);
  }
}

/** A record that cannot be read, or is damaged, has an unknown site. */
function tried<T>(warnings: Warnings, what: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const isOfDump = error instanceof ReadError || error instanceof KernelError;
    if (!isOfDump || error.code === 'unsupported-layout' || error.code === 'no-symbols') throw error;
    addError(warnings, what, error);
    return undefined;
  }
}
