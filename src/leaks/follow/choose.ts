import type { Allocations } from './allocations.js';
import type { SiteOf } from './follower.js';

/**
 * At most so many allocations, evenly out of all: each site has as many as every other, or all of its own where
 * those are fewer, so that a busy site leaves room for a quiet one.
 *
 * @returns numbers of allocations
 */
export function chooseEvenly(allocations: Allocations, siteOf: SiteOf, max: number): number[] {
  const counts = new Map<string, number>();
  const sites = new Map<number, string>();
  allocations.each((number) => {
    const stack = allocations.stack(number);
    let site = sites.get(stack);
    if (site === undefined) {
      site = siteOf(stack);
      sites.set(stack, site);
    }
    counts.set(site, (counts.get(site) ?? 0) + 1);
  });
  const quota = quotaOf([...counts.values()], max);
  const met = new Map<string, number>();
  const chosen: number[] = [];
  allocations.each((number) => {
    const site = sites.get(allocations.stack(number)) ?? '';
    const count = counts.get(site) ?? 0;
    const wanted = Math.min(count, quota);
    const at = met.get(site) ?? 0;
    met.set(site, at + 1);
    const isNext = Math.floor(((at + 1) * wanted) / count) > Math.floor((at * wanted) / count);
    if (isNext && chosen.length < max) chosen.push(number);
  });
  return chosen;
}

/** The most that each may have, that all of them have no more than `max`; one at least. */
function quotaOf(counts: readonly number[], max: number): number {
  const ascending = [...counts].sort((a, b) => a - b);
  let room = max;
  for (const [at, count] of ascending.entries()) {
    const share = Math.floor(room / (ascending.length - at));
    if (count > share) return Math.max(1, share);
    room -= count;
  }
  return max;
}
