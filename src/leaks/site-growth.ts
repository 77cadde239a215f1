import type { Growth } from '../contracts/growth.js';
import { Series } from '../growth/series.js';
import { trendOf } from '../growth/trend.js';
import type { Held, MethodCode, Reading, Recording } from './recording.js';
import type { SiteSurvivors } from './site-survivors.js';

/** Methods that know earlier allocations: their first reading is a full one. */
const KNOW_WHAT_WAS: readonly MethodCode[] = [
  'allocinfo',
  'page-owner',
  'page-owner-stacks',
  'slab-traces',
  'vmallocinfo',
];

/** Whether a method knows earlier allocations. */
export function knowsWhatWas(method: MethodCode): boolean {
  return KNOW_WHAT_WAS.includes(method);
}

/** Minimum number of windows before a leak can be reported. */
export const MIN_WINDOWS = 3;

/**
 * From this number of readings on the interval is that of a slope; with fewer, that of the rates of windows.
 */
const MIN_FOR_SLOPE = 8;

/**
 * `throughout`: it grew from each third of the time to the next, at the end at least half as fast as before.
 * `slowing`: less than a quarter as fast. `unclear`: neither.
 */
export type SiteCourse = 'throughout' | 'slowing' | 'unclear';

/** Amounts of a site, reading by reading, and their growth. */
export interface SiteGrowth {
  /** Null: too few readings. */
  readonly growth: Growth | null;
  readonly course: SiteCourse;
  readonly last: Held;
  /** Number of windows of the recording. */
  readonly windows: number;
  /** More than half of the growth was in the last third of the time: whether it continues is unknown. */
  readonly lately: boolean;
}

/** Amount of a site that a reading does not contain. */
export const NOTHING: Held = { bytes: 0, blocks: 0, lowBytes: 0, highBytes: 0, sampled: null };

/** Growth of one site of a recording. */
export function siteGrowth(recording: Recording, site: string): SiteGrowth {
  const of = ({ held }: Reading) => held.get(site) ?? NOTHING;
  // If events are followed, the initial amount is unknown: the empty first reading does not count.
  const known = knowsWhatWas(recording.method);
  const readings = known ? recording.readings : recording.readings.slice(1);
  const windows = recording.readings.length - 1;
  const last = recording.readings.at(-1);
  const held = last === undefined ? NOTHING : of(last);
  const points = readings.map((reading) => ({ seconds: reading.at / 1000, bytes: of(reading).bytes }));
  if (!known) {
    // With three windows it counts anyway: nothing was followed at the beginning.
    const first = recording.readings[0];
    if (windows === MIN_WINDOWS && first) points.unshift({ seconds: first.at / 1000, bytes: 0 });
  }
  const growth = widened(growthOf(points), held);
  const before = known ? (points[0]?.bytes ?? 0) : 0;
  const lately = cameLately(points, before);
  return { growth, course: courseOf(points), last: held, windows, lately };
}

interface Point {
  readonly seconds: number;
  readonly bytes: number;
}

function growthOf(points: readonly Point[]): Growth | null {
  if (points.length >= MIN_FOR_SLOPE) {
    const series = new Series();
    for (const { seconds, bytes } of points) series.add(seconds, bytes);
    return trendOf(series)?.growth ?? null;
  }
  if (points.length < MIN_WINDOWS) return null;
  const [first, last] = [points[0]!, points.at(-1)!];
  const seconds = last.seconds - first.seconds;
  const rates = points
    .slice(1)
    .map((point, index) => (point.bytes - points[index]!.bytes) / (point.seconds - points[index]!.seconds));
  if (!(seconds > 0) || rates.some((rate) => !Number.isFinite(rate))) return null;
  return {
    perSecond: (last.bytes - first.bytes) / seconds,
    low: Math.min(...rates),
    high: Math.max(...rates),
    // The median of all windows' rates is outside of all observed ones with probability 2 / 2^n.
    confidence: 1 - 2 ** (1 - rates.length),
    samples: points.length,
    seconds,
  };
}

/** A sample with too much or too little has the same error in each window: the frames are the same. */
function widened(growth: Growth | null, { bytes, lowBytes, highBytes }: Held): Growth | null {
  if (growth === null || bytes === 0 || lowBytes === highBytes) return growth;
  const [less, more] = [lowBytes / bytes, highBytes / bytes];
  return {
    ...growth,
    low: growth.low * (growth.low > 0 ? less : more),
    high: growth.high * (growth.high > 0 ? more : less),
  };
}

/** The growth of a filling cache, or of a long-lived population that reaches its balance, slows down. */
function courseOf(points: readonly Point[]): SiteCourse {
  if (points.length < MIN_WINDOWS) return 'unclear';
  const [first = 0, second = 0, third = 0] = thirds(points).map(
    (part) => part.reduce((sum, { bytes }) => sum + bytes, 0) / part.length,
  );
  const [before, after] = [second - first, third - second];
  if (before > 0 && after >= before / 2) return 'throughout';
  return after <= 0 || after < before / 4 ? 'slowing' : 'unclear';
}

/** @param before amount before the recording */
function cameLately(points: readonly Point[], before: number): boolean {
  const [first, second] = thirds(points);
  const last = points.at(-1)?.bytes ?? 0;
  const most = Math.max(before, ...[...first, ...second].map(({ bytes }) => bytes));
  return last > before && last - most > (last - before) / 2;
}

/** In order; later parts are at least as long as the first. */
function thirds<T>(list: readonly T[]): [readonly T[], readonly T[], readonly T[]] {
  const [firstThird, two] = [Math.floor(list.length / 3), Math.floor((2 * list.length) / 3)];
  return [list.slice(0, firstThird), list.slice(firstThird, two), list.slice(two)];
}

/** Maximum share of a site's growth that frees of older blocks of its order or cache may match. */
const MAX_MATCHED = 0.5;

/** Growth of one site compared with the balance of its orders or caches, over the second half of the time. */
interface Balance {
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
      keepsPace: matched > gained * MAX_MATCHED,
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

function sumOf<T>(list: readonly T[], of: (item: T) => number): number {
  return list.reduce((sum, item) => sum + of(item), 0);
}
