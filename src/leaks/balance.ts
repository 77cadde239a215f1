import type { Growth } from '../growth/growth.js';
import type { Reading, Recording } from './recording.js';
import { NOTHING } from './site-growth.js';
import type { SiteSurvivors } from './site-survivors.js';

/** Maximum share of a site's growth that frees of older blocks of its order or cache may match. */
const MOST_MATCHED = 0.5;

/** Growth of one site compared with the balance of its orders or caches, over the second half of the time. */
export interface Balance {
  /** Minimum growth of the site, bytes per second, if every unmatched free was one of its older blocks. */
  readonly leastPerSecond: number;
  /**
   * Frees of older blocks match too much of its growth to distinguish a leak from a stationary population.
   */
  readonly keepsPace: boolean;
}

/**
 * Compares the growth of sites with frees that match no recorded allocation. A population whose blocks
 * outlive the recording looks like a leak: all its new blocks are still held at the end. Its older blocks are
 * freed meanwhile, at the same rate. The site of such a free is unknown, so each free counts against every
 * site of its order or cache.
 */
export class Balances {
  readonly #recording: Recording;
  readonly #from: Reading | undefined;
  readonly #to: Reading | undefined;
  readonly #orders = new Map<string, Set<number>>();
  /** Growth of recorded sites in bytes, by cache. */
  readonly #caches = new Map<string, number>();
  readonly #bySite: ReadonlyMap<string, SiteSurvivors>;

  constructor(recording: Recording, bySite: ReadonlyMap<string, SiteSurvivors>) {
    const { readings, survivors } = recording;
    this.#recording = recording;
    this.#bySite = bySite;
    // By then a short-lived population is in balance, and its older blocks have been freed.
    this.#from = readings[Math.floor((readings.length - 1) / 2)];
    this.#to = readings.at(-1);
    for (const { site, order } of survivors) {
      if (order === null) continue;
      const orders = this.#orders.get(site) ?? new Set();
      this.#orders.set(site, orders.add(order));
    }
    for (const site of bySite.keys())
      for (const [cache, share] of this.#sharesOf(site))
        this.#caches.set(cache, (this.#caches.get(cache) ?? 0) + share * this.#gained(site));
  }

  /** Undefined if the source knows earlier allocations, or does not report unmatched frees. */
  of(site: string): Balance | undefined {
    const [from, to] = [this.#from, this.#to];
    const matched = this.#matched(site);
    if (from === undefined || to === undefined || matched === undefined) return undefined;
    const gained = this.#gained(site);
    return {
      leastPerSecond: (gained - matched) / ((to.at - from.at) / 1000),
      keepsPace: matched > gained * MOST_MATCHED,
    };
  }

  /** Freed bytes that may have been older blocks of this site. */
  #matched(site: string): number | undefined {
    const [from, to] = [this.#from, this.#to];
    if (from === undefined || to === undefined || from === to) return undefined;
    if (from.unmatched && to.unmatched) {
      const [before, after] = [from.unmatched, to.unmatched];
      return sumOf([...(this.#orders.get(site) ?? [])], (order) =>
        Math.max(0, (after.get(order) ?? 0) - (before.get(order) ?? 0)),
      );
    }
    if (this.#recording.type !== 'slab' || !from.caches || !to.caches) return undefined;
    const [before, after] = [from.caches, to.caches];
    return sumOf([...this.#sharesOf(site).keys()], (cache) => {
      const [first, last] = [before.get(cache), after.get(cache)];
      if (first === undefined || last === undefined) return 0;
      const net = last.bytes - first.bytes + Math.max(first.slack, last.slack);
      return Math.max(0, (this.#caches.get(cache) ?? 0) - net);
    });
  }

  #gained(site: string): number {
    const held = (reading: Reading | undefined) => (reading?.held.get(site) ?? NOTHING).bytes;
    return held(this.#to) - held(this.#from);
  }

  /** Caches that contain a site's objects, with the share of each. */
  #sharesOf(site: string): Map<string, number> {
    const shares = new Map<string, number>();
    const survivors = this.#bySite.get(site);
    for (const { cache, bytes } of survivors?.places ?? [])
      if (cache !== null && survivors && survivors.bytes > 0)
        shares.set(cache, (shares.get(cache) ?? 0) + bytes / survivors.bytes);
    return shares;
  }
}

/** The same growth, with its lower bound reduced by the balance. */
export function bounded(growth: Growth | null, balance: Balance | undefined): Growth | null {
  if (growth === null || balance === undefined) return growth;
  return { ...growth, low: Math.min(growth.low, balance.leastPerSecond) };
}

function sumOf<T>(list: readonly T[], of: (one: T) => number): number {
  return list.reduce((sum, one) => sum + of(one), 0);
}
