import type { Course, Growth } from '../contracts/growth.js';
import { laterHalf, medianOf, type Points, type Sampled, Series } from './series.js';

/** Minimum number of points for a trend. */
export const MIN_POINTS = 8;

/** From this number on the later half has enough points to confirm growth. */
export const MIN_TO_GROW = 2 * MIN_POINTS - 1;

export interface Trend {
  readonly growth: Growth;
  readonly course: Course;
}

/** Too few samples. */
export const NO_TREND = { growth: null, course: null } as const;

/** @returns null: too few samples */
export function trendOf(series: Sampled): Trend | null {
  const points = series.points();
  const whole = fitOf(points)?.();
  if (!whole) return null;
  const later = fitOf(laterHalf(points))?.();
  return { growth: growthOf(whole, series), course: courseOf(whole, later) };
}

export function growthOf(
  { slope, low, high }: Slope,
  { samples, seconds }: Pick<Sampled, 'samples' | 'seconds'>,
): Growth {
  return { perSecond: slope, low, high, confidence: CONFIDENCE, samples, seconds };
}

export function courseOf(whole: Slope, later: Slope | null | undefined): Course {
  if (whole.low > 0) return later && later.low > 0 ? 'grows' : 'grew';
  if (whole.high < 0) return later && later.high < 0 ? 'shrinks' : 'shrank';
  return 'steady';
}

/**
 * The Theil-Sen slope. Its interval accounts for correlated neighbours. If the series may be a random walk,
 * it includes the interval of the mean step; otherwise the variance is increased by the correlation, as for a
 * first-order process (S. Yue, C. Wang, The Mann-Kendall test modified by effective sample size, Water
 * Resources Management 18, 2004). Testing first which of the two applies follows P. Perron and T. Yabu
 * (Estimating deterministic trends with an integrated or stationary noise component, J. Econometrics 151,
 * 2009).
 */
export function fitOf(points: Points): Fit | null {
  const { times, values } = points;
  if (times.length < MIN_POINTS) return null;
  // Most of thousands of processes sleep: their values are constant.
  if (values.every((value) => value === values[0])) return () => ({ slope: 0, low: 0, high: 0 });
  const slopes = pairSlopes(points);
  const slope = medianOf(slopes);
  const residuals = values.map((value, at) => value - slope * ((times[at] ?? 0) - (times[0] ?? 0)));
  const { wanders, inflation } = likeness(residuals);
  return (more = 1) => {
    const fit = theilSen(points, slopes, more * (wanders ? 1 : inflation));
    if (!wanders || !fit) return fit;
    const { low, high } = drift(points, more);
    return { slope, low: Math.min(fit.low, low), high: Math.max(fit.high, high) };
  };
}

/**
 * A slope with its interval; null: too few points.
 *
 * @param more factor of the variance
 */
export type Fit = (more?: number) => Slope | null;

/**
 * The mean step between neighbours, with its interval (Student's t). It suits series that wander like a sum
 * of random steps, whose level does not predict their course. The variance of a step is proportional to its
 * duration, so that gaps are allowed. Positively correlated steps widen the interval: those between means of
 * a random walk are (H. Working, Note on the correlation of first differences of averages in a random chain,
 * Econometrica 28, 1960).
 *
 * @param more factor of the variance
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

/**
 * Student's t for {@link Z} (Abramowitz and Stegun 26.7.5): less than 0.3 % too small from 6 degrees of
 * freedom on.
 */
function studentT(degrees: number): number {
  return (
    Z +
    (Z ** 3 + Z) / (4 * degrees) +
    (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / (96 * degrees ** 2) +
    (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / (384 * degrees ** 3)
  );
}

/** Correlation of neighbours, which makes a series wander without a trend. */
interface Likeness {
  /** Its mean moves like a sum of random steps, or this cannot be excluded. */
  readonly wanders: boolean;
  /** Factor by which the variance of a sum of such values exceeds that of uncorrelated ones; at least 1. */
  readonly inflation: number;
}

/**
 * Threshold for the number of points times (1 - correlation), which a random walk exceeds in one case of a
 * hundred: W. A. Fuller, Introduction to Statistical Time Series, 1976, table 8.5.1, with a linear trend.
 */
const WANDERS_BELOW = 29.5;

/**
 * Uses the rank correlation of neighbours, which is robust against outliers. Removing the trend reduces it:
 * the first terms of that bias are added (A. Roy, W. A. Fuller, Estimation for Autoregressive Time Series
 * with a Root Near 1, J. Business & Econ. Statistics 19, 2001).
 *
 * @param residuals the values without their trend
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

/** Ranks from 0; equal values share their mean rank. */
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

/** A slope with its interval. */
interface Slope {
  readonly slope: number;
  readonly low: number;
  readonly high: number;
}

/** Slopes between all pairs of points, sorted. */
function pairSlopes({ times, values }: Points): Float64Array {
  const count = times.length;
  const slopes = new Float64Array((count * (count - 1)) / 2);
  let at = 0;
  for (let left = 0; left < count; left++)
    for (let right = left + 1; right < count; right++)
      slopes[at++] = ((values[right] ?? 0) - (values[left] ?? 0)) / ((times[right] ?? 0) - (times[left] ?? 0));
  return slopes.sort();
}

/**
 * The median slope between all pairs of points, with its interval for uncorrelated neighbours: P. K. Sen,
 * Estimates of the regression coefficient based on Kendall's tau, JASA 63 (1968), with the variance for ties
 * (R. O. Gilbert, Statistical Methods for Environmental Pollution Monitoring, 1987, 16.4.2 and 17.3.2). It
 * tolerates arbitrary values in nearly a third of the points.
 *
 * @param inflation factor of the variance, compared with independent points
 * @returns null if there are too few points for an interval
 */
function theilSen(points: Points, slopes: Float64Array, inflation: number): Slope | null {
  const reach = Z * Math.sqrt(kendallVariance(points.values) * inflation);
  const rank = (slopes.length - reach) / 2;
  if (rank < 0) return null;
  // Ranks count from 1: the M-th lowest, and the (N - M + 1)-th.
  const at = (index: number) => interpolated(slopes, index);
  return { slope: at((slopes.length - 1) / 2), low: at(rank - 0.5), high: at(slopes.length - 0.5 - rank) };
}

/** Variance of Kendall's S for these values; ties reduce it. */
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
  const [lower, next] = [sorted[below] ?? 0, sorted[Math.min(below + 1, sorted.length - 1)] ?? 0];
  return lower + (next - lower) * (inside - below);
}

/** Confidence of every interval. With hundreds of processes, 95 % would report some by chance. */
export const CONFIDENCE = 0.99;

/** Two-sided quantile of the standard normal distribution for this confidence. */
const Z = 2.575_829;

/** Samples of one figure, in limited memory. */
export interface History extends Sampled {
  /** The last sample. */
  readonly last: { readonly time: number; readonly value: number } | undefined;
  /**
   * @param time seconds
   * @returns false if the sample is not later than the previous one, and was ignored
   */
  add(time: number, value: number): boolean;
}

/** Bounds and parameters of histories. */
export interface HistoryKind<H extends History = History> {
  make(): H;
  /** @returns null: unknown */
  trendOf(history: H): Trend | null;
}

/** For consecutive samples over minutes or hours. */
export const SAMPLE_HISTORY: HistoryKind<Series> = { make: () => new Series(), trendOf };
