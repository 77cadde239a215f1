import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { numaNodes } from '../machine/cpus.js';
import { pointerPartOf } from '../named-read.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';

/**
 * How many slabs a cache counts, over all NUMA nodes: `kmem_cache_node.nr_slabs`, which mm/slub.c keeps
 * under CONFIG_SLUB_DEBUG. Undefined where the kernel's types don't have it.
 *
 * @throws {ReadError}; {@link KernelError} `damaged`
 */
export function slabsCounted(kernel: Kernel, cache: bigint): number | undefined {
  const node = kernel.struct('kmem_cache_node');
  const layout = kernel.struct('kmem_cache');
  // An array in the cache, and since 7.1 of pairs of pointers behind it.
  const pairs = layout?.member('per_node');
  const array = pairs ?? layout?.member('node');
  if (!node?.member('nr_slabs.counter') || !array) return undefined;
  const counter = new StructReader(kernel, 'kmem_cache_node', ['nr_slabs.counter']);
  const stride = pairs ? kernel.struct('kmem_cache_per_node_ptrs')?.size : 8;
  const within = pairs ? kernel.struct('kmem_cache_per_node_ptrs')?.member('node')?.offset : 0;
  if (stride === undefined || within === undefined) return undefined;
  let sum = 0;
  for (let index = 0; index < numaNodes(kernel); index++) {
    const at = cache + BigInt(array.offset + index * stride + within);
    const own = pointerPartOf(kernel, 'struct kmem_cache', cache, at);
    // A node without memory has none.
    if (own !== 0n) sum += counter.read(own).number('nr_slabs.counter');
  }
  return sum;
}

/**
 * A slab cache of which less slabs were met than it counts, or which the kernel does not have, in words;
 * undefined if there is none, or the dump doesn't tell. More may be met: pages of KFENCE are slabs too, and slabs are counted after they
 * are made, and no longer before they go.
 *
 * @param met slabs of each cache, by the address of its `struct kmem_cache`
 * @throws {KernelError}, {@link TornList}
 */
export function uncountedSlabs(
  kernel: Kernel,
  met: ReadonlyMap<bigint, number>,
): string | undefined {
  const head = kernel.symbol('slab_caches');
  const link = kernel.struct('kmem_cache')?.member('list');
  if (head === undefined || !link) return undefined;
  return readOrNot(() => {
    const all = new Set<bigint>();
    for (const node of listNodes(kernel, head)) {
      const cache = node - BigInt(link.offset);
      const counted = slabsCounted(kernel, cache) ?? 0;
      const found = met.get(cache) ?? 0;
      all.add(cache);
      if (found < counted)
        return `the slab cache at ${hex(cache)} counts ${counted} slabs, and ${found} were found`;
    }
    const other = [...met.keys()].find((cache) => !all.has(cache));
    if (other === undefined) return undefined;
    return `a slab is of the cache at ${hex(other)}, and there is none`;
  });
}
