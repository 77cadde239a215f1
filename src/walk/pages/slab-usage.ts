import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { cpuMask, numaNodes, perCpuAddress } from '../machine/cpus.js';
import { pointerPartOf } from '../named-read.js';
import { readUnsigned, StructReader } from '../struct-reader.js';
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
  if (layout?.member('cpu_slab')) free += inCpuLists(kernel, cache);
  if (layout?.member('cpu_sheaves')) free += inSheaves(kernel, cache);
  return free;
}

/** `kmem_cache_cpu.freelist`: each free object holds the next one's address, which may be scrambled. */
function inCpuLists(kernel: Kernel, cache: bigint): number {
  const reader = new StructReader(kernel, 'kmem_cache', ['cpu_slab', 'offset']);
  const view = reader.read(cache);
  const offset = BigInt(view.number('offset'));
  const hardened = kernel.struct('kmem_cache')?.member('random');
  const random = hardened
    ? pointerPartOf(kernel, 'struct kmem_cache', cache, cache + BigInt(hardened.offset))
    : undefined;
  const perCpu = new StructReader(kernel, 'kmem_cache_cpu', ['freelist']);
  let free = 0;
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const own = perCpuAddress(kernel, view.pointer('cpu_slab'), cpu);
    let count = 0;
    for (let object = perCpu.read(own).pointer('freelist'); object !== 0n; count++) {
      if (count >= MOST_FREE || kernel.pages.pageOf(object) === undefined) {
        throw new KernelError('damaged', `the free list of CPU ${cpu} leads nowhere`);
      }
      const at = object + offset;
      const stored = pointerPartOf(kernel, 'the free object', object, at);
      // freelist_ptr: CONFIG_SLAB_FREELIST_HARDENED, with the address's bytes swapped since 5.7.
      object = random === undefined ? stored : stored ^ random ^ swapBytes(at);
    }
    free += count;
  }
  return free;
}

function swapBytes(value: bigint): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value, true);
  return view.getBigUint64(0, false);
}

/** Arrays of free objects: two or three for each CPU, and full ones kept for each node. */
function inSheaves(kernel: Kernel, cache: bigint): number {
  const { members } = new StructReader(kernel, 'kmem_cache', ['cpu_sheaves']);
  const sheaf = new SheafReader(kernel, cache);
  const at = cache + BigInt(members.cpu_sheaves.offset);
  const perCpu = pointerPartOf(kernel, 'struct kmem_cache', cache, at);
  if (perCpu === 0n) return 0;
  const sheaves = new StructReader(kernel, 'slub_percpu_sheaves', ['main', 'spare', 'rcu_free']);
  let free = 0;
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const view = sheaves.read(perCpuAddress(kernel, perCpu, cpu));
    for (const name of ['main', 'spare', 'rcu_free'] as const) {
      const address = view.pointer(name);
      if (address !== 0n) free += sheaf.size(address);
    }
  }
  const list = kernel.struct('slab_sheaf')?.member('barn_list');
  if (!list) throw new KernelError('unsupported-layout', 'struct slab_sheaf has no barn_list');
  for (const barn of barns(kernel, cache)) {
    const full = new StructReader(kernel, 'node_barn', ['sheaves_full']).read(barn);
    for (const node of listNodes(kernel, full.addressOf('sheaves_full'))) {
      free += sheaf.size(node - BigInt(list.offset));
    }
  }
  return free;
}

/** Sheaves of one cache: each says whose it is, and holds no more than all of them may. */
class SheafReader {
  readonly #sheaf;
  readonly #cache: bigint;
  readonly #capacity: number;

  constructor(kernel: Kernel, cache: bigint) {
    this.#sheaf = new StructReader(kernel, 'slab_sheaf', ['cache', 'size']);
    this.#cache = cache;
    const owner = new StructReader(kernel, 'kmem_cache', ['sheaf_capacity']);
    this.#capacity = owner.read(cache).number('sheaf_capacity');
  }

  /** Objects in a sheaf. @throws {KernelError} `damaged` */
  size(address: bigint): number {
    const view = this.#sheaf.read(address);
    const size = view.number('size');
    // A cache without (slub_debug) has every CPU look into one that is empty and nobody's.
    const owner = this.#capacity === 0 ? 0n : this.#cache;
    if (view.pointer('cache') === owner && size <= this.#capacity) return size;
    throw new KernelError('damaged', `0x${address.toString(16)} is no sheaf of the cache`);
  }
}

/** `kmem_cache.per_node[].barn` since 7.1, `kmem_cache.node[]->barn` since 6.18. */
function* barns(kernel: Kernel, cache: bigint): Generator<bigint> {
  const layout = kernel.struct('kmem_cache');
  const array = layout?.member('per_node') ?? layout?.member('node');
  if (!array) throw new KernelError('unsupported-layout', 'struct kmem_cache has no nodes');
  const nodes = numaNodes(kernel);
  for (let node = 0; node < nodes; node++) {
    const first = cache + BigInt(array.offset);
    if (layout?.member('per_node')) {
      const each = new StructReader(kernel, 'kmem_cache_per_node_ptrs', ['barn']);
      const barn = each.read(first + BigInt(node * each.size)).pointer('barn');
      if (barn !== 0n) yield barn;
      continue;
    }
    const own = pointerPartOf(kernel, 'struct kmem_cache', cache, first + BigInt(node * 8));
    const barn = kernel.struct('kmem_cache_node')?.member('barn');
    if (own === 0n || !barn) continue;
    const address = pointerPartOf(kernel, 'struct kmem_cache_node', own, own + BigInt(barn.offset));
    if (address !== 0n) yield address;
  }
}
