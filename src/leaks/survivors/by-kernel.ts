import type { CensusEntry } from '../../account/census-entry.js';
import { accountMemory, type MemoryPlaces } from '../../account/memory/memory.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { AllocationType, Survivor } from '../recording.js';
import { BlockFinder } from './block-finder.js';
import type { CacheLimits } from './cache-limits.js';
import type { Lookup } from './lookup.js';

/**
 * Puts all memory of the machine into drawers, and finds each block there: in which queue of a socket, which
 * slab cache, whose page table, or with nobody.
 *
 * @param kernel of this machine; it is asked until the last block is looked up
 * @param survivors all that are to be looked up
 * @param progress told now and then which part is done, 0 to 1
 * @param limits of caches of this machine
 * @throws as accountMemory
 */
export function lookupByKernel(
  kernel: Kernel,
  type: AllocationType,
  survivors: readonly Survivor[],
  progress: (part: number) => void,
  limits: CacheLimits = new Map(),
): Lookup {
  const objects = new Set(type === 'slab' ? survivors.map(({ place }) => place) : []);
  const sockets = new Map<bigint, CensusEntry>();
  let places: MemoryPlaces | undefined;
  const { warnings } = accountMemory(kernel, progress, {
    keepsSlots: objects.size > 0,
    onSocket: (entry, tally) => {
      if (objects.size === 0) return;
      for (const slot of tally.slots())
        if (objects.has(slot) && !sockets.has(slot)) sockets.set(slot, entry);
    },
    onPlaces: (found) => {
      places = found;
    },
  });
  if (!places) throw new TypeError('places are told before the answer');
  const finder = new BlockFinder(kernel, places, sockets);
  return {
    ...{ source: 'kcore', unavailable: [], limits },
    warnings: warnings.map(({ message }) => message),
    get maybeFree() {
      return finder.maybeFree;
    },
    of: (survivor) => finder.of(type, survivor),
  };
}
