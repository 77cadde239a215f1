import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { again } from '../again.js';
import { cpuMask, perCpuAddress } from '../machine/cpus.js';
import { readUnsigned, StructReader } from '../struct-reader.js';
import { FreeList } from './free-list.js';
import { sheavesOf } from './sheaves.js';
import type { Take } from './slab-scan.js';

/** What the slabs of a cache hold. */
export interface SlabCount {
  /** Objects that slabs count as given out, those that wait in per-CPU lists included. */
  inUse: number;
  slabs: number;
}

/** More objects than this in one CPU's list are damage: a slab has 2^15 at most. */
const MOST_FREE = 2 ** 15;

/** Counts the objects of some slab caches that are in use, slab by slab (mm/slub.c). */
export class SlabUsage {
  readonly #counts = new Map<bigint, SlabCount>();
  /** Caches of which a slab has more objects in use than it has. */
  readonly #unsound = new Set<bigint>();
  readonly #inUse;
  readonly #objects;

  constructor(kernel: Kernel, caches: Iterable<bigint>) {
    for (const cache of caches) this.#counts.set(cache, { inUse: 0, slabs: 0 });
    const [slab, page] = [kernel.struct('slab'), kernel.struct('page')];
    this.#inUse = slab?.member('inuse') ?? page?.member('inuse');
    this.#objects = slab?.member('objects') ?? page?.member('objects');
  }

  /** Takes the `struct page` of a slab of this cache into account. */
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

  /** Takes what `slab` looks at of a `struct page`. */
  fetch(take: Take): void {
    if (this.#inUse) take(this.#inUse.offset, this.#inUse.size);
    if (this.#objects) take(this.#objects.offset, this.#objects.size);
  }

  /**
   * Undefined where the kernel's types don't tell.
   *
   * @throws {KernelError} `damaged` where a slab's numbers contradict each other
   */
  count(cache: bigint): SlabCount | undefined {
    if (this.#unsound.has(cache)) {
      throw new KernelError('damaged', 'a slab has more objects in use than it has');
    }
    return this.#inUse && this.#counts.get(cache);
  }
}

/**
 * Objects of a cache that its slabs count as in use and that nobody uses: those in the lists of the
 * CPUs up to 6.x, those in sheaves since then.
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

/** In the lists of the CPUs: `kmem_cache_cpu.freelist`. @throws as {@link freeInCaches} */
export function* onCpuLists(kernel: Kernel, cache: bigint): Generator<bigint> {
  const view = new StructReader(kernel, 'kmem_cache', ['cpu_slab']).read(cache);
  const list = new FreeList(kernel, cache);
  const perCpu = new StructReader(kernel, 'kmem_cache_cpu', ['freelist']);
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const own = perCpuAddress(kernel, view.pointer('cpu_slab'), cpu);
    yield* again(kernel, () => [
      ...list.from(perCpu.read(own).pointer('freelist'), MOST_FREE, `CPU ${cpu}`),
    ]);
  }
}
