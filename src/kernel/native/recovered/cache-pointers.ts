import type { StructLayout } from '../../layout.js';
import type { Evidence } from './evidence.js';
import { type Memory, only, ring, textOrNot, word, wordOrNot } from './reads.js';

/** Maximum number of entries of `kmalloc_caches` to check. */
const MAX_ENTRIES = 64;

/**
 * Addresses of the `struct kmem_cache` with some names, in the list of all caches (mm/slab_common.c);
 * ambiguous names are omitted. A merged cache has no name of its own there.
 *
 * @param kmalloc address of `kmalloc_caches`: one of its entries leads into the list
 * @param isObject whether an address can be that of a cache
 */
function slabCachesNamed(
  memory: Memory,
  layout: StructLayout,
  kmalloc: bigint,
  isObject: (address: bigint) => boolean,
  names: readonly string[],
): ReadonlyMap<string, bigint> {
  const list = layout.member('list');
  const name = layout.member('name');
  if (!list || !name) return new Map();
  for (let index = 0; index < MAX_ENTRIES; index++) {
    const first = word(memory, kmalloc + BigInt(index * 8));
    if (!isObject(first)) continue;
    const nodes = ring(memory, first + BigInt(list.offset)) ?? [];
    const caches = nodes.map((node) => node - BigInt(list.offset));
    const named = (wanted: string): bigint | undefined =>
      only(
        caches.filter((cache) => {
          const at = wordOrNot(memory, cache + BigInt(name.offset));
          return at !== undefined && textOrNot(memory, at, wanted.length + 1) === wanted;
        }),
      );
    return new Map(
      names.flatMap((wanted) => {
        const cache = named(wanted);
        return cache === undefined ? [] : [[wanted, cache]];
      }),
    );
  }
  return new Map();
}

/** Variables that point to slab caches, and the names of these caches. */
const CACHE_POINTERS: ReadonlyMap<string, string> = new Map([
  ['sock_inode_cachep', 'sock_inode_cache'],
  ['skbuff_head_cache', 'skbuff_head_cache'],
  ['skbuff_fclone_cache', 'skbuff_fclone_cache'],
  ['skb_small_head_cache', 'skbuff_small_head'],
]);

const MAX_PLACES = 64;

/** Variables of the network stack that point to slab caches. */
export class CachePointers {
  readonly #evidence: Evidence;
  #caches: ReadonlyMap<string, bigint> | undefined;

  constructor(evidence: Evidence) {
    this.#evidence = evidence;
  }

  has(name: string): boolean {
    return CACHE_POINTERS.has(name);
  }

  /**
   * Returns the one variable that points to the expected cache. Variables of caches merged into it also
   * point to it, and stale data in freed memory may: then the match is the one adjacent to another of
   * these pointers (net/socket.c and net/core/skbuff.c set them once).
   */
  find(name: string): bigint | undefined {
    const { memory } = this.#evidence.source;
    const cache = this.#networkCaches.get(CACHE_POINTERS.get(name) ?? '');
    if (cache === undefined) return undefined;
    const places = this.#evidence.bytes.wordsEqual(cache, MAX_PLACES).map((at) => this.#evidence.bytes.address(at));
    this.#evidence.keepAmbiguous(places);
    const rest = new Set(this.#networkCaches.values());
    rest.delete(cache);
    const among = places.filter((at) => [at - 8n, at + 8n].some((next) => rest.has(wordOrNot(memory, next) ?? 0n)));
    const pointer = only(places) ?? only(among);
    return pointer !== undefined && word(memory, pointer) === cache ? pointer : undefined;
  }

  /** Addresses of the caches in CACHE_POINTERS, and of their neighbor's. */
  get #networkCaches(): ReadonlyMap<string, bigint> {
    if (this.#caches !== undefined) return this.#caches;
    this.#caches = new Map();
    const { memory, types, directMap } = this.#evidence.source;
    const kmalloc = this.#evidence.exported.get('kmalloc_caches');
    const layout = types.struct('kmem_cache');
    if (kmalloc === undefined || layout === undefined) return this.#caches;
    const names = [...CACHE_POINTERS.values(), 'skbuff_ext_cache'];
    const isObject = (address: bigint): boolean => {
      const into = address - (directMap?.address ?? 0n);
      return directMap !== undefined && into >= 0n && into < BigInt(directMap.length);
    };
    this.#caches = slabCachesNamed(memory, layout, kmalloc, isObject, names);
    return this.#caches;
  }
}
