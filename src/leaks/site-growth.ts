import type { Growth } from '../growth/growth.js';
import { Series } from '../growth/series.js';
import { trendOf } from '../growth/trend.js';
import type { Held, MethodCode, Reading, Recording } from './recording.js';

/** Methods that know what was allocated before they began: their first reading is one as the others. */
const KNOW_WHAT_WAS: readonly MethodCode[] = [
  ...(['allocinfo', 'page-owner', 'page-owner-stacks', 'slab-traces', 'vmallocinfo'] as const),
];

/** Whether a method tells what was allocated before it began. */
export function knowsWhatWas(method: MethodCode): boolean {
  return KNOW_WHAT_WAS.includes(method);
}

/** Windows that at least must pass before it can be said that anything leaks. */
export const LEAST_WINDOWS = 3;

/** From so many readings on the interval is that of a slope; of fewer, that of the rates of windows. */
const LEAST_FOR_SLOPE = 8;

/**
 * `throughout`: it grew from the first to the second and to the last third of the time, and in the end at least
 * half as fast as before. `slows`: not a quarter as fast. `unclear`: neither.
 */
export type SiteCourse = 'throughout' | 'slowing' | 'unclear';

/** What a site held, reading by reading, and how fast that grows. */
export interface SiteGrowth {
  /** Null: it cannot be told of so few readings. */
  readonly growth: Growth | null;
  readonly course: SiteCourse;
  readonly last: Held;
  /** Since the first reading that counts. */
  readonly windows: number;
  /** More than half of what it took came in the last third of the time: whether that goes on is not known. */
  readonly lately: boolean;
}

/** Of a site that a reading has not. */
export const NOTHING: Held = { bytes: 0, blocks: 0, low: 0, high: 0, sampled: null };

/** Of one site of a recording. */
export function siteGrowth(recording: Recording, site: string): SiteGrowth {
  const of = ({ held }: Reading) => held.get(site) ?? NOTHING;
  // What was held before is not known where events are followed: that nothing is, is no reading.
  const known = knowsWhatWas(recording.method);
  const readings = known ? recording.readings : recording.readings.slice(1);
  const windows = recording.readings.length - 1;
  const last = recording.readings.at(-1);
  const held = last === undefined ? NOTHING : of(last);
  const points = readings.map((reading) => ({
    seconds: reading.at / 1000,
    bytes: of(reading).bytes,
  }));
  if (!known) {
    // It is one all the same of three windows: nothing was followed when it began.
    const first = recording.readings[0];
    if (windows === LEAST_WINDOWS && first) points.unshift({ seconds: first.at / 1000, bytes: 0 });
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
  if (points.length >= LEAST_FOR_SLOPE) {
    const series = new Series();
    for (const { seconds, bytes } of points) series.add(seconds, bytes);
    return trendOf(series)?.growth ?? null;
  }
  if (points.length < LEAST_WINDOWS) return null;
  const [first, last] = [points[0]!, points.at(-1)!];
  const seconds = last.seconds - first.seconds;
  const rates = points
    .slice(1)
    .map(
      (point, index) =>
        (point.bytes - points[index]!.bytes) / (point.seconds - points[index]!.seconds),
    );
  if (!(seconds > 0) || rates.some((rate) => !Number.isFinite(rate))) return null;
  return {
    perSecond: (last.bytes - first.bytes) / seconds,
    low: Math.min(...rates),
    high: Math.max(...rates),
    // That the median of all windows' rates lies outside of all that were seen has a chance of 2 / 2^n.
    confidence: 1 - 2 ** (1 - rates.length),
    samples: points.length,
    seconds,
  };
}

/** A sample that has too much or too little has it in each window: the frames are the same. */
function widened(growth: Growth | null, { bytes, low, high }: Held): Growth | null {
  if (growth === null || bytes === 0 || low === high) return growth;
  const [less, more] = [low / bytes, high / bytes];
  return {
    ...growth,
    low: growth.low * (growth.low > 0 ? less : more),
    high: growth.high * (growth.high > 0 ? more : less),
  };
}

/** A cache that fills, or what lives long and comes to its balance, grows less and less. */
function courseOf(points: readonly Point[]): SiteCourse {
  if (points.length < LEAST_WINDOWS) return 'unclear';
  const [first = 0, second = 0, third = 0] = thirds(points).map(
    (part) => part.reduce((sum, { bytes }) => sum + bytes, 0) / part.length,
  );
  const [before, after] = [second - first, third - second];
  if (before > 0 && after >= before / 2) return 'throughout';
  return after <= 0 || after < before / 4 ? 'slowing' : 'unclear';
}

/** @param before what it held before it was recorded */
function cameLately(points: readonly Point[], before: number): boolean {
  const [first, second] = thirds(points);
  const last = points.at(-1)?.bytes ?? 0;
  const most = Math.max(before, ...[...first, ...second].map(({ bytes }) => bytes));
  return last > before && last - most > (last - before) / 2;
}

/** In order, the last ones as long as the first or longer. */
function thirds<T>(list: readonly T[]): [readonly T[], readonly T[], readonly T[]] {
  const [one, two] = [Math.floor(list.length / 3), Math.floor((2 * list.length) / 3)];
  return [list.slice(0, one), list.slice(one, two), list.slice(two)];
}
