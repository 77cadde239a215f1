import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, numaNodes, perCpuAddress } from '../cpus.js';
import { pointerPartOf, pointersPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** Walks the free objects of one slab cache: each contains the address of the next one, possibly obfuscated. */
export class FreeList {
  readonly #kernel: Kernel;
  readonly #offset: bigint;
  readonly #random: bigint | undefined;

  constructor(kernel: Kernel, cache: bigint) {
    this.#kernel = kernel;
    const reader = new StructReader(kernel, 'kmem_cache', ['offset']);
    this.#offset = BigInt(reader.read(cache).number('offset'));
    const random = kernel.struct('kmem_cache')?.member('random');
    this.#random = random && pointerPartOf(kernel, 'struct kmem_cache', cache, cache + BigInt(random.offset));
  }

  /**
   * Yields the free objects from one object to the last.
   *
   * @param most maximum number of objects
   * @param owner owner of the list, for the error
   * @throws {KernelError} `damaged` if it leads out of memory or never ends; {@link ReadError}
   */
  *from(first: bigint, most: number, owner: string): Generator<bigint> {
    let count = 0;
    for (let object = first; object !== 0n; object = this.#next(object)) {
      if (++count > most || this.#kernel.pages.pageOf(object) === undefined) {
        throw damaged(`the free list of ${owner} leads to ${hex(object)}`);
      }
      yield object;
    }
  }

  /**
   * Decodes a link as freelist_ptr does (mm/slub.c). With CONFIG_SLAB_FREELIST_HARDENED, the address bytes
   * are swapped since 5.7, and in earlier stable series. No member shows which form applies, but only one
   * form yields the end of the list or a memory address.
   */
  #next(object: bigint): bigint {
    const at = object + this.#offset;
    const stored = pointerPartOf(this.#kernel, 'the free object', object, at);
    if (this.#random === undefined) return stored;
    const swapped = stored ^ this.#random ^ swapBytes(at);
    const plain = stored ^ this.#random ^ at;
    return !this.#isObject(swapped) && this.#isObject(plain) ? plain : swapped;
  }

  #isObject(address: bigint): boolean {
    return address === 0n || this.#kernel.pages.pageOf(address) !== undefined;
  }
}

function swapBytes(value: bigint): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value, true);
  return view.getBigUint64(0, false);
}

/** An array of free objects. */
export interface Sheaf {
  /** Number of objects. */
  readonly size: number;
  /** Addresses of the objects. */
  objects(): bigint[];
}

/** Sheaves of a cache: two or three per CPU, and full ones per node (mm/slub.c, since 6.18). */
export function* sheavesOf(kernel: Kernel, cache: bigint): Generator<Sheaf> {
  const reader = new StructReader(kernel, 'kmem_cache', ['cpu_sheaves']);
  const sheaf = new SheafReader(kernel, cache);
  const perCpu = reader.read(cache).pointer('cpu_sheaves');
  if (perCpu === 0n) return;
  const sheaves = new StructReader(kernel, 'slub_percpu_sheaves', ['main', 'spare', 'rcu_free']);
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const view = sheaves.read(perCpuAddress(kernel, perCpu, cpu));
    for (const name of ['main', 'spare', 'rcu_free'] as const) {
      const address = view.pointer(name);
      if (address !== 0n) yield sheaf.at(address);
    }
  }
  const list = StructReader.ifPresent(kernel, 'slab_sheaf', ['barn_list']);
  if (!list) throw unsupportedLayout('struct slab_sheaf has no barn_list');
  for (const barn of barns(kernel, cache)) {
    const full = new StructReader(kernel, 'node_barn', ['sheaves_full']).read(barn);
    for (const address of list.entryAddresses(full.addressOf('sheaves_full'), 'barn_list')) {
      yield sheaf.at(address);
    }
  }
}

/** Reads sheaves of one cache, and checks that each refers to that cache and does not exceed the capacity. */
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

  at(address: bigint): Sheaf {
    const view = this.#sheaf.read(address);
    const size = view.number('size');
    // Without CPU slabs (slub_debug) every CPU points to a shared empty one.
    const owner = this.#capacity === 0 ? 0n : this.#cache;
    if (view.pointer('cache') === owner && size <= this.#capacity) {
      return { size, objects: () => this.#objects(address, size) };
    }
    throw damaged(`${hex(address)} is not a sheaf of the cache`);
  }

  #objects(address: bigint, size: number): bigint[] {
    const array = this.#kernel.struct('slab_sheaf')?.member('objects');
    if (!array) throw unsupportedLayout('struct slab_sheaf has no objects');
    const at = address + BigInt(array.offset);
    return pointersPartOf(this.#kernel, 'struct slab_sheaf', address, at, size);
  }
}

/** `kmem_cache.per_node[].barn` since 7.1, `kmem_cache.node[]->barn` since 6.18. */
function* barns(kernel: Kernel, cache: bigint): Generator<bigint> {
  const layout = kernel.struct('kmem_cache');
  const array = layout?.member('per_node') ?? layout?.member('node');
  if (!array) throw unsupportedLayout('struct kmem_cache has no nodes');
  const nodes = numaNodes(kernel);
  for (let node = 0; node < nodes; node++) {
    const first = cache + BigInt(array.offset);
    if (layout?.member('per_node')) {
      const perNode = new StructReader(kernel, 'kmem_cache_per_node_ptrs', ['barn']);
      const barn = perNode.read(perNode.element(first, node)).pointer('barn');
      if (barn !== 0n) yield barn;
      continue;
    }
    const own = pointerPartOf(kernel, 'struct kmem_cache', cache, first + BigInt(node * 8));
    const reader = StructReader.ifPresent(kernel, 'kmem_cache_node', ['barn']);
    if (own === 0n || !reader) continue;
    const address = reader.read(own).pointer('barn');
    if (address !== 0n) yield address;
  }
}
