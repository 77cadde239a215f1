import type { Kernel } from '../../kernel/kernel.js';
import type { AddressSpace } from '../../walk/processes/address-spaces.js';
import { swapAreas } from '../../walk/processes/swap-areas.js';
import type { AreaPages } from './area-pages.js';
import type { MappingCounts } from './mapped-pages.js';
import { MOST_ENTRIES, type SwapEntry, swapKey } from './swap-key.js';

/** Pages of one mapping that are in swap: how many, and each divided among all who have it. */
export interface Swapped {
  readonly pages: number;
  /** Undefined: who else has them is not known. */
  readonly proportional: number | undefined;
}

/**
 * What of each mapping is in swap, by its page tables: where the kind of entries cannot be told, all are taken
 * for such if there are as many as the process counts.
 *
 * @param counted what the process counts (MM_SWAPENTS)
 * @param spaces all address spaces, for who else has a page
 * @returns undefined: it cannot be told
 */
export function swappedOf(
  kernel: Kernel,
  areas: readonly AreaPages[],
  counted: number,
  spaces: readonly AddressSpace[],
  counts: MappingCounts,
): Swapped[] | undefined {
  const most = swapAreas(kernel);
  const untold = areas.reduce((sum, area) => sum + area.untold, 0);
  if (untold > 0) {
    if (untold !== counted) return undefined;
    return areas.map((area) => ({
      pages: area.untold,
      proportional: area.untold === 0 ? 0 : undefined,
    }));
  }
  if (most === undefined) return counted === 0 ? areas.map(() => NONE) : undefined;
  const own = areas.map(({ swap }) => swap.filter(({ type }) => type < most));
  const sharers = sharersOf(own.flat(), spaces, counts);
  return own.map((entries) => ({
    pages: entries.length,
    proportional:
      sharers &&
      entries.reduce((sum, entry) => sum + 1 / Math.max(sharers.get(swapKey(entry)) ?? 1, 1), 0),
  }));
}

const NONE: Swapped = { pages: 0, proportional: 0 };

/** How many entries of all page tables lead to each of these. */
function sharersOf(
  entries: readonly SwapEntry[],
  spaces: readonly AddressSpace[],
  counts: MappingCounts,
): ReadonlyMap<number, number> | undefined {
  if (entries.length > MOST_ENTRIES) return undefined;
  const sharers = new Map(entries.map((entry) => [swapKey(entry), 0]));
  if (sharers.size === 0) return sharers;
  for (const space of spaces) {
    counts.walk(space, {
      page: () => {},
      absent: (_page, pages, type, offset) => {
        const key = swapKey({ type, offset });
        const known = sharers.get(key);
        if (known !== undefined && pages === 1) sharers.set(key, known + 1);
      },
    });
  }
  return sharers;
}
