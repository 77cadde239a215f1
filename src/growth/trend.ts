import { drift } from './drift.js';
import { CONFIDENCE, type Growth } from './growth.js';
import { likeness } from './likeness.js';
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
    ...{ perSecond: whole.slope, low: whole.low, high: whole.high },
    ...{ confidence: CONFIDENCE, samples: series.samples, seconds: series.seconds },
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
