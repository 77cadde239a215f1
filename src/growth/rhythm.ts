import { DAY } from './day-series.js';
import { medianOf } from './median.js';
import type { Points } from './points.js';

/** Points without what comes back each day. */
export interface Bare {
  readonly points: Points;
  /** By how much more their trend varies than that of points that had no rhythm to be taken away. */
  readonly more: number;
}

/**
 * Takes away what comes back at the same hour of each day: the slope is the median of those between like hours
 * (R. M. Hirsch, J. R. Slack, R. A. Smith, Techniques of trend analysis for monthly water quality data, Water
 * Resources Research 18, 1982), the rhythm the mean of each hour without that slope.
 *
 * A trend then is known by what differs from day to day alone, and what is left varies less than it did before its
 * middle was taken away: of D days by D^2 / (D^2 - 1) and D / (D - 1).
 *
 * @param width seconds of which each point is the mean; a part of a day
 */
export function withoutRhythm({ times, values }: Points, width: number): Bare {
  const hours = DAY / width;
  const hourOf = (at: number) => Math.floor((times[at] ?? 0) / width) % hours;
  const likes = Array.from({ length: hours }, (): number[] => []);
  for (let at = 0; at < times.length; at++) likes[hourOf(at)]?.push(at);
  const slopes: number[] = [];
  for (const like of likes)
    for (const [index, left] of like.entries())
      for (const right of like.slice(index + 1))
        slopes.push(
          ((values[right] ?? 0) - (values[left] ?? 0)) / ((times[right] ?? 0) - (times[left] ?? 0)),
        );
  const slope = slopes.length === 0 ? 0 : medianOf(Float64Array.from(slopes).sort());
  const rhythm = likes.map((like) =>
    mean(like.map((at) => (values[at] ?? 0) - slope * ((times[at] ?? 0) - (times[0] ?? 0)))),
  );
  const days = Math.max(1.5, times.length / hours);
  return {
    points: { times, values: values.map((value, at) => value - (rhythm[hourOf(at)] ?? 0)) },
    more: (days ** 2 / (days ** 2 - 1)) * (days / (days - 1)),
  };
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0) / Math.max(1, numbers.length);
}
