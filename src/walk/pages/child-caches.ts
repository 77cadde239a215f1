import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { StructReader } from '../struct-reader.js';

/**
 * Slab caches of memory cgroups: up to 5.8 each cgroup has a copy of a cache for its objects
 * (`kmem_cache.memcg_params`, CONFIG_MEMCG_KMEM), and a root cache lists its copies.
 */
export class ChildCaches {
  readonly #kernel: Kernel;
  readonly #root: StructReader<'memcg_params.root_cache'> | undefined;
  readonly #links: StructReader<'memcg_params.children' | 'memcg_params.children_node'> | undefined;
  readonly #group: StructReader<'memcg_params.memcg'> | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    if (!kernel.struct('kmem_cache')?.member('memcg_params.root_cache')) return;
    this.#root = new StructReader(kernel, 'kmem_cache', ['memcg_params.root_cache']);
    this.#links = new StructReader(kernel, 'kmem_cache', [
      'memcg_params.children',
      'memcg_params.children_node',
    ]);
    this.#group = new StructReader(kernel, 'kmem_cache', ['memcg_params.memcg']);
  }

  /** Whether this kernel has them at all. */
  get exist(): boolean {
    return this.#root !== undefined;
  }

  /** The cache that a cache is a copy of, or itself. @throws {ReadError} */
  rootOf(cache: bigint): bigint {
    return this.#root?.read(cache).pointer('memcg_params.root_cache') || cache;
  }

  /** The copies of a root cache. @throws {ReadError}, {@link TornList} */
  *of(root: bigint): Generator<bigint> {
    if (!this.#links) return;
    const node = BigInt(this.#links.offset('memcg_params.children_node'));
    const head = root + BigInt(this.#links.offset('memcg_params.children'));
    for (const at of listNodes(this.#kernel, head)) yield at - node;
  }

  /** The `struct mem_cgroup` that all objects of a copy are charged to; 0n of a root cache. @throws {ReadError} */
  groupOf(cache: bigint): bigint {
    if (this.rootOf(cache) === cache) return 0n;
    return this.#group?.read(cache).pointer('memcg_params.memcg') ?? 0n;
  }
}
