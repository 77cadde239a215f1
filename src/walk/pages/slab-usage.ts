import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../cpus.js';
import { readUntilConsistent } from '../live-reads.js';
import { readUnsigned, StructReader } from '../struct-reader.js';
import { FreeList, sheavesOf } from './free-objects.js';
import type { Take } from './slab-scan.js';

/** Number of slabs and objects of a cache. */
export interface SlabCount {
  /** Objects that slabs count as allocated, including those on per-CPU free lists. */
  inUse: number;
  slabs: number;
}

/** Maximum number of objects on one CPU's list: a slab has at most 2^15. More indicate damage. */
const MOST_FREE = 2 ** 15;

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
 *
 * @throws {KernelError} `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function freeInCaches(kernel: Kernel, cache: bigint): number {
  const layout = kernel.struct('kmem_cache');
  let free = 0;
  if (layout?.member('cpu_slab')) for (const _ of onCpuLists(kernel, cache)) free++;
  if (layout?.member('cpu_sheaves')) for (const { size } of sheavesOf(kernel, cache)) free += size;
  return free;
}

/** Free objects on per-CPU free lists: `kmem_cache_cpu.freelist`. @throws as {@link freeInCaches} */
export function* onCpuLists(kernel: Kernel, cache: bigint): Generator<bigint> {
  const view = new StructReader(kernel, 'kmem_cache', ['cpu_slab']).read(cache);
  const list = new FreeList(kernel, cache);
  const perCpu = new StructReader(kernel, 'kmem_cache_cpu', ['freelist']);
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const own = perCpuAddress(kernel, view.pointer('cpu_slab'), cpu);
    yield* readUntilConsistent(kernel, () => [
      ...list.from(perCpu.read(own).pointer('freelist'), MOST_FREE, `CPU ${cpu}`),
    ]);
  }
}
