import type { StructLayout } from '../../layout.js';
import { ring } from './lists.js';
import { type Memory, only, textOrNot, word, wordOrNot } from './reads.js';

/** Entries of `kmalloc_caches` that are looked at. */
const MOST_ENTRIES = 64;

/**
 * Addresses of the `struct kmem_cache` of some names, in the list that holds all of them
 * (mm/slab_common.c); those that two caches have are left out. A cache that was merged into another
 * one has no name of its own there.
 *
 * @param kmalloc address of `kmalloc_caches`: one of these leads into the list
 * @param isObject whether an address can be that of a cache
 * @throws {ReadError}
 */
export function slabCachesNamed(
  memory: Memory,
  layout: StructLayout,
  kmalloc: bigint,
  isObject: (address: bigint) => boolean,
  names: readonly string[],
): ReadonlyMap<string, bigint> {
  const list = layout.member('list');
  const name = layout.member('name');
  if (!list || !name) return new Map();
  for (let index = 0; index < MOST_ENTRIES; index++) {
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
