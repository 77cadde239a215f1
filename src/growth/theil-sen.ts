import { Z } from './growth.js';
import type { Points } from './points.js';

/** A slope with its interval. */
export interface Slope {
  readonly slope: number;
  readonly low: number;
  readonly high: number;
}

/** Slopes between all pairs of points, sorted. */
export function pairSlopes({ times, values }: Points): Float64Array {
  const count = times.length;
  const slopes = new Float64Array((count * (count - 1)) / 2);
  let at = 0;
  for (let left = 0; left < count; left++)
    for (let right = left + 1; right < count; right++)
      slopes[at++] =
        ((values[right] ?? 0) - (values[left] ?? 0)) / ((times[right] ?? 0) - (times[left] ?? 0));
  return slopes.sort();
}

/**
 * The slope that half of all pairs of points are steeper than, and the interval in which it is if neighbours are
 * not alike: P. K. Sen, Estimates of the regression coefficient based on Kendall's tau, JASA 63 (1968), with
 * the variance for ties (R. O. Gilbert, Statistical Methods for Environmental Pollution Monitoring, 1987,
 * 16.4.2 and 17.3.2). Nearly a third of the points may be anything.
 *
 * @param inflation by how much the variance is larger than of points that have nothing to do with each other
 * @returns null: for so few points there is no interval
 */
export function theilSen(points: Points, slopes: Float64Array, inflation: number): Slope | null {
  const reach = Z * Math.sqrt(kendallVariance(points.values) * inflation);
  const rank = (slopes.length - reach) / 2;
  if (rank < 0) return null;
  // Ranks count from 1: the M-th from below, and the (N - M + 1)-th.
  const at = (index: number) => interpolated(slopes, index);
  return {
    slope: at((slopes.length - 1) / 2),
    low: at(rank - 0.5),
    high: at(slopes.length - 0.5 - rank),
  };
}

/** Of Kendall's S over these values; equal ones take away from it. */
function kendallVariance(values: Float64Array): number {
  const of = (count: number) => count * (count - 1) * (2 * count + 5);
  let variance = of(values.length);
  const sorted = values.toSorted();
  for (let start = 0, at = 1; at <= sorted.length; at++) {
    if (sorted[at] === sorted[start]) continue;
    variance -= of(at - start);
    start = at;
  }
  return variance / 18;
}

function interpolated(sorted: Float64Array, index: number): number {
  const inside = Math.min(sorted.length - 1, Math.max(0, index));
  const below = Math.floor(inside);
  const [one, next] = [sorted[below] ?? 0, sorted[Math.min(below + 1, sorted.length - 1)] ?? 0];
  return one + (next - one) * (inside - below);
}
