import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { cpuMask, numaNodes, perCpuAddress } from '../machine/cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** An array of free objects. */
export interface Sheaf {
  /** How many are in it. */
  readonly size: number;
  /** Their addresses. @throws {ReadError} */
  objects(): bigint[];
}

/**
 * Two or three for each CPU, and full ones kept for each node (mm/slub.c, since 6.18).
 *
 * @throws {KernelError} `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function* sheavesOf(kernel: Kernel, cache: bigint): Generator<Sheaf> {
  const { members } = new StructReader(kernel, 'kmem_cache', ['cpu_sheaves']);
  const sheaf = new SheafReader(kernel, cache);
  const at = cache + BigInt(members.cpu_sheaves.offset);
  const perCpu = pointerPartOf(kernel, 'struct kmem_cache', cache, at);
  if (perCpu === 0n) return;
  const sheaves = new StructReader(kernel, 'slub_percpu_sheaves', ['main', 'spare', 'rcu_free']);
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const view = sheaves.read(perCpuAddress(kernel, perCpu, cpu));
    for (const name of ['main', 'spare', 'rcu_free'] as const) {
      const address = view.pointer(name);
      if (address !== 0n) yield sheaf.at(address);
    }
  }
  const list = kernel.struct('slab_sheaf')?.member('barn_list');
  if (!list) throw new KernelError('unsupported-layout', 'struct slab_sheaf has no barn_list');
  for (const barn of barns(kernel, cache)) {
    const full = new StructReader(kernel, 'node_barn', ['sheaves_full']).read(barn);
    for (const node of listNodes(kernel, full.addressOf('sheaves_full'))) {
      yield sheaf.at(node - BigInt(list.offset));
    }
  }
}

/** Sheaves of one cache: each says whose it is, and holds no more than all of them may. */
class SheafReader {
  readonly #kernel: Kernel;
  readonly #sheaf;
  readonly #cache: bigint;
  readonly #capacity: number;

  constructor(kernel: Kernel, cache: bigint) {
    this.#kernel = kernel;
    this.#sheaf = new StructReader(kernel, 'slab_sheaf', ['cache', 'size']);
    this.#cache = cache;
    const owner = new StructReader(kernel, 'kmem_cache', ['sheaf_capacity']);
    this.#capacity = owner.read(cache).number('sheaf_capacity');
  }

  /** @throws {KernelError} `damaged`; {@link ReadError} */
  at(address: bigint): Sheaf {
    const view = this.#sheaf.read(address);
    const size = view.number('size');
    // A cache without (slub_debug) has every CPU look into one that is empty and nobody's.
    const owner = this.#capacity === 0 ? 0n : this.#cache;
    if (view.pointer('cache') === owner && size <= this.#capacity) {
      return { size, objects: () => this.#objects(address, size) };
    }
    throw new KernelError('damaged', `${hex(address)} is no sheaf of the cache`);
  }

  #objects(address: bigint, size: number): bigint[] {
    const array = this.#kernel.struct('slab_sheaf')?.member('objects');
    if (!array) throw new KernelError('unsupported-layout', 'struct slab_sheaf has no objects');
    const at = address + BigInt(array.offset);
    const view = readPartOf(this.#kernel, 'struct slab_sheaf', address, at, 8 * size);
    return Array.from({ length: size }, (_, index) => view.getBigUint64(8 * index, true));
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
