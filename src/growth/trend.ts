import { CONFIDENCE, type Growth, Z } from './growth.js';
import { medianOf } from './median.js';
import { laterHalf, type Points, type Sampled } from './points.js';
import { pairSlopes, type Slope, theilSen } from './theil-sen.js';

/** Of fewer nothing is told. */
export const LEAST_POINTS = 8;

/** From so many on the later half has as many: that something goes on growing can be told. */
export const LEAST_TO_GROW = 2 * LEAST_POINTS - 1;

/**
 * What a series does: `grows` and `shrinks` as a whole and still in its second half; `grew` and `shrank` as a
 * whole, but that it goes on cannot be told (a cache that is full now, a step, too few samples); `steady`: its
 * interval has zero in it.
 */
export type Course = 'grows' | 'grew' | 'steady' | 'shrank' | 'shrinks';

export interface Trend {
  readonly growth: Growth;
  readonly course: Course;
}

/** @returns null: of so few samples it cannot be told */
export function trendOf(series: Sampled): Trend | null {
  const points = series.points();
  const whole = fitOf(points)?.();
  if (!whole) return null;
  const later = fitOf(laterHalf(points))?.();
  const growth: Growth = {
    perSecond: whole.slope,
    low: whole.low,
    high: whole.high,
    confidence: CONFIDENCE,
    samples: series.samples,
    seconds: series.seconds,
  };
  return { growth, course: courseOf(whole, later) };
}

export function courseOf(whole: Slope, later: Slope | null | undefined): Course {
  if (whole.low > 0) return later && later.low > 0 ? 'grows' : 'grew';
  if (whole.high < 0) return later && later.high < 0 ? 'shrinks' : 'shrank';
  return 'steady';
}

/**
 * The Theil-Sen slope. Its interval allows for neighbours that are alike: where they may be a random walk it
 * takes in the interval of the mean step, else the variance is made larger by their correlation, as for a
 * process of first order (S. Yue, C. Wang, The Mann-Kendall test modified by effective sample size, Water
 * Resources Management 18, 2004). To tell first which of both it is, is what P. Perron and T. Yabu do
 * (Estimating deterministic trends with an integrated or stationary noise component, J. Econometrics 151, 2009).
 */
export function fitOf(points: Points): Fit | null {
  const { times, values } = points;
  if (times.length < LEAST_POINTS) return null;
  // Most of thousands of processes sleep.
  if (values.every((value) => value === values[0])) return () => ({ slope: 0, low: 0, high: 0 });
  const slopes = pairSlopes(points);
  const slope = medianOf(slopes);
  const residuals = values.map((value, at) => value - slope * ((times[at] ?? 0) - (times[0] ?? 0)));
  const { wanders, inflation } = likeness(residuals);
  return (more = 1) => {
    const found = theilSen(points, slopes, more * (wanders ? 1 : inflation));
    if (!wanders || !found) return found;
    const { low, high } = drift(points, more);
    return { slope, low: Math.min(found.low, low), high: Math.max(found.high, high) };
  };
}

/**
 * A slope with its interval; null: for so few points there is none.
 *
 * @param more by how much more the variance is than that of these points
 */
export type Fit = (more?: number) => Slope | null;

/**
 * The mean of the steps between neighbours, with its interval (Student's t): right for what wanders, as a sum
 * of chance steps does, whose level tells nothing of where it will go. The variance of a step goes with its
 * time, so that gaps may be between them. Steps that go on as the one before make it wider: those between means of a
 * random walk do (H. Working, Note on the correlation of first differences of averages in a random chain,
 * Econometrica 28, 1960).
 *
 * @param more by how much more the variance is than that of these points
 */
function drift({ times, values }: Points, more = 1): Slope {
  const last = times.length - 1;
  const seconds = (times[last] ?? 0) - (times[0] ?? 0);
  const slope = ((values[last] ?? 0) - (values[0] ?? 0)) / seconds;
  let [squares, products, before] = [0, 0, 0];
  for (let at = 0; at < last; at++) {
    const took = (times[at + 1] ?? 0) - (times[at] ?? 0);
    const step = (values[at + 1] ?? 0) - (values[at] ?? 0);
    const off = (step - slope * took) / Math.sqrt(took);
    squares += off ** 2;
    products += off * before;
    before = off;
  }
  const variance = (squares + 2 * Math.max(0, products)) / (last - 1) / seconds;
  const reach = studentT(last - 1) * Math.sqrt(more * variance);
  return { slope, low: slope - reach, high: slope + reach };
}

/** Student's t for {@link Z} (Abramowitz and Stegun 26.7.5): from 6 degrees on less than 0.3 % too small. */
function studentT(degrees: number): number {
  return (
    Z +
    (Z ** 3 + Z) / (4 * degrees) +
    (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / (96 * degrees ** 2) +
    (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / (384 * degrees ** 3)
  );
}

/** How alike neighbours are, which makes a series wander without a trend. */
interface Likeness {
  /** Its mean moves as the sum of chance steps does, or that cannot be ruled out. */
  readonly wanders: boolean;
  /** By how much more a sum of such values varies than one of values that are not alike; 1 or more. */
  readonly inflation: number;
}

/**
 * The number of points times (1 - correlation), which of a random walk is more in one case of a hundred:
 * W. A. Fuller, Introduction to Statistical Time Series, 1976, table 8.5.1, with a linear trend.
 */
const WANDERS_BELOW = 29.5;

/**
 * By the correlation of ranks of neighbours, which no single value spoils. Taking the trend away makes it less
 * than it was: what is added are the first terms of that bias (A. Roy, W. A. Fuller, Estimation for
 * Autoregressive Time Series with a Root Near 1, J. Business & Econ. Statistics 19, 2001).
 *
 * @param residuals what is left of the values without their trend
 */
function likeness(residuals: Float64Array): Likeness {
  const count = residuals.length;
  const ranks = ranksOf(residuals);
  const middle = (count - 1) / 2;
  let [own, next] = [0, 0];
  for (let at = 0; at < count; at++) {
    const here = (ranks[at] ?? 0) - middle;
    own += here ** 2;
    if (at + 1 < count) next += here * ((ranks[at + 1] ?? 0) - middle);
  }
  if (own === 0) return { wanders: false, inflation: 1 };
  const measured = next / own;
  const wanders = count * (1 - measured) < WANDERS_BELOW;
  const corrected = Math.min(0.95, Math.max(0, measured + (2 + 4 * measured) / count));
  return { wanders, inflation: (1 + corrected) / (1 - corrected) };
}

/** From 0 on; equal values share the mean of theirs. */
function ranksOf(values: Float64Array): Float64Array {
  const order = [...values.keys()].sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const ranks = new Float64Array(values.length);
  for (let start = 0, at = 1; at <= order.length; at++) {
    const [first, here] = [values[order[start] ?? 0], values[order[at] ?? -1]];
    if (at < order.length && first === here) continue;
    for (const index of order.slice(start, at)) ranks[index] = (start + at - 1) / 2;
    start = at;
  }
  return ranks;
}
