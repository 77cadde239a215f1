import { damaged, KernelError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../cpus.js';
import { readUntilConsistent } from '../live-reads.js';

import { readUnsigned, StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { FreeList, sheavesOf } from './free-objects.js';
import type { Slab, Slot, Take } from './slab-scan.js';

/** State of the slots of one slab. */
interface SlabState {
  /** Objects on its freelist; undefined if it cannot be read. */
  readonly free: ReadonlySet<bigint> | undefined;
  /**
   * Whether its objects may be on per-CPU free lists; if false, all objects outside its freelist are in use.
   */
  readonly mayBeOnCpuLists: boolean;
}

/**
 * Determines which slots are allocated, from the free lists (mm/slub.c): those of each slab, and those of
 * CPUs. A corrupt list causes a warning.
 */
export class SlotUse {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #slab: StructReader<'freelist'> | undefined;
  readonly #counters: StructReader<'inuse' | 'objects' | 'frozen'> | undefined;
  /** Free lists by cache; undefined if not available. */
  readonly #lists = new Map<bigint, FreeList | undefined>();
  readonly #cpuFree = new Map<bigint, ReadonlySet<bigint> | undefined>();
  /** The slab of the last call. */
  #last: { readonly slab: Slab; readonly state: SlabState } | undefined;

  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    const type = ['slab', 'page'].find((name) => kernel.struct(name)?.member('freelist'));
    this.#slab = type === undefined ? undefined : new StructReader(kernel, type, ['freelist']);
    const counters = ['inuse', 'objects', 'frozen'] as const;
    const cache = kernel.struct('kmem_cache');
    // Objects in sheaves count as in use, regardless of their slab.
    const hasCounters =
      type !== undefined &&
      counters.every((name) => kernel.struct(type)?.member(name)) &&
      cache?.member('cpu_slab') &&
      !cache.member('cpu_sheaves');
    this.#counters = hasCounters ? new StructReader(kernel, type, counters) : undefined;
  }

  /** Undefined if the lists are not in the dump, damaged, or change too fast to be read. */
  isInUse({ object, slab }: Slot): boolean | undefined {
    const { cache } = slab;
    if (this.#last?.slab !== slab) this.#last = { slab, state: this.#stateOf(slab, cache) };
    const { free, mayBeOnCpuLists } = this.#last.state;
    if (free === undefined || free.has(object)) return free && false;
    if (!mayBeOnCpuLists) return true;
    const waiting = this.#known(this.#cpuFree, cache, () => new Set(this.#cpuFreeOf(cache)));
    return waiting && !waiting.has(object);
  }

  #stateOf({ page, objects }: Slab, cache: bigint): SlabState {
    const reader = this.#slab;
    const unknown = { free: undefined, mayBeOnCpuLists: true };
    if (!reader) return unknown;
    return (
      this.#orWarn(() =>
        readUntilConsistent(this.#kernel, () => {
          const unused = this.#unusedOf(page);
          const first = reader.read(page).pointer('freelist');
          const mayBeOnCpuLists = unused === undefined;
          if (unused === 0 && first === 0n) return { free: new Set<bigint>(), mayBeOnCpuLists };
          const list = this.#known(this.#lists, cache, () => new FreeList(this.#kernel, cache));
          if (!list) return unknown;
          const free = new Set(list.from(first, objects, `the slab at ${hex(page)}`));
          if (unused !== undefined && unused !== free.size)
            throw damaged(`the slab at ${hex(page)} counts ${unused} free objects, but its freelist has ${free.size}`);
          return { free, mayBeOnCpuLists };
        }),
      ) ?? unknown
    );
  }

  /**
   * Number of free objects by the slab's counter; undefined if it has none, or the slab is a CPU's current one, whose
   * allocations and frees bypass the counter.
   */
  #unusedOf(page: bigint): number | undefined {
    const view = readOrNot(() => this.#counters?.read(page));
    if (view === undefined || view.number('frozen') !== 0) return undefined;
    const [inUse, objects] = [view.number('inuse'), view.number('objects')];
    if (inUse <= objects) return objects - inUse;
    throw damaged(`the slab at ${hex(page)} has more objects in use than it contains`);
  }

  *#cpuFreeOf(cache: bigint): Generator<bigint> {
    const layout = this.#kernel.struct('kmem_cache');
    if (layout?.member('cpu_slab')) yield* onCpuLists(this.#kernel, cache);
    if (!layout?.member('cpu_sheaves')) return;
    for (const sheaf of sheavesOf(this.#kernel, cache)) yield* sheaf.objects();
  }

  #known<T>(known: Map<bigint, T | undefined>, cache: bigint, read: () => T): T | undefined {
    if (!known.has(cache)) known.set(cache, this.#orWarn(read));
    return known.get(cache);
  }

  #orWarn<T>(read: () => T): T | undefined {
    try {
      return readOrNot(read);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'damaged') this.#warnings.add('corrupt', error.message);
      return undefined;
    }
  }
}

/** Number of slabs and objects of a cache. */
interface SlabCount {
  /** Objects that slabs count as allocated, including those on per-CPU free lists. */
  inUse: number;
  slabs: number;
}

/** Maximum number of objects on one CPU's list: a slab has at most 2^15. More indicate damage. */
const MAX_FREE = 2 ** 15;

/** Counts the objects in use of some slab caches, slab by slab (mm/slub.c). */
export class SlabUsage {
  readonly #counts = new Map<bigint, SlabCount>();
  /** Caches with a slab that has more objects in use than it contains. */
  readonly #unsound = new Set<bigint>();
  readonly #inUse;
  readonly #objects;

  constructor(kernel: Kernel, caches: Iterable<bigint>) {
    for (const cache of caches) this.#counts.set(cache, { inUse: 0, slabs: 0 });
    const [slab, page] = [kernel.struct('slab'), kernel.struct('page')];
    this.#inUse = slab?.member('inuse') ?? page?.member('inuse');
    this.#objects = slab?.member('objects') ?? page?.member('objects');
  }

  /** Counts a slab of this cache, given its `struct page`. */
  slab(cache: bigint, view: DataView, base: number): void {
    const count = this.#counts.get(cache);
    if (!count || !this.#inUse) return;
    count.slabs++;
    const inUse = readUnsigned(view, base + this.#inUse.offset, this.#inUse);
    count.inUse += inUse;
    if (!this.#objects) return;
    const objects = readUnsigned(view, base + this.#objects.offset, this.#objects);
    if (inUse > objects) this.#unsound.add(cache);
  }

  /** Extracts the members of `struct page` that `slab` reads. */
  fetch(take: Take): void {
    if (this.#inUse) take(this.#inUse.offset, this.#inUse.size);
    if (this.#objects) take(this.#objects.offset, this.#objects.size);
  }

  /**
   * Undefined if the kernel's types lack the members.
   *
   * @throws {KernelError} `damaged` if a slab's counts contradict each other
   */
  count(cache: bigint): SlabCount | undefined {
    if (this.#unsound.has(cache)) throw damaged('a slab has more objects in use than it contains');
    return this.#inUse && this.#counts.get(cache);
  }
}

/**
 * Number of free objects of a cache that its slabs count as in use: objects on per-CPU free lists up to 6.x,
 * in sheaves since then.
 */
export function freeInCaches(kernel: Kernel, cache: bigint): number {
  const layout = kernel.struct('kmem_cache');
  let free = 0;
  if (layout?.member('cpu_slab')) for (const _ of onCpuLists(kernel, cache)) free++;
  if (layout?.member('cpu_sheaves')) for (const { size } of sheavesOf(kernel, cache)) free += size;
  return free;
}

/** Free objects on per-CPU free lists: `kmem_cache_cpu.freelist`. @throws as {@link freeInCaches} */
function* onCpuLists(kernel: Kernel, cache: bigint): Generator<bigint> {
  const view = new StructReader(kernel, 'kmem_cache', ['cpu_slab']).read(cache);
  const list = new FreeList(kernel, cache);
  const perCpu = new StructReader(kernel, 'kmem_cache_cpu', ['freelist']);
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const own = perCpuAddress(kernel, view.pointer('cpu_slab'), cpu);
    yield* readUntilConsistent(kernel, () => [
      ...list.from(perCpu.read(own).pointer('freelist'), MAX_FREE, `CPU ${cpu}`),
    ]);
  }
}
