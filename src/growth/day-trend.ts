import { DAY, DaySeries } from './day-series.js';
import { CONFIDENCE } from './growth.js';
import type { HistoryKind } from './history.js';
import { laterHalf } from './points.js';
import { withoutRhythm } from './rhythm.js';
import { type Course, courseOf, fitOf, type Trend, trendOf } from './trend.js';

/** In less nothing tells what goes on from what comes back each day. */
export const LEAST_SECONDS = 2 * DAY;

/** Seconds. A rate per day from a shorter time multiplies what was observed by more than 24: none is reported. */
export const LEAST_RATE_SECONDS = 3600;

/**
 * Hundreds of figures are judged again and again: that one goes on growing must be as sure as 4 deviations, where its
 * interval has 2.58. The variance is that much more.
 */
const CAUTION = 2.41;

/** Slopes between all pairs of points cost by the square: some hundred points tell as much as thousands. */
const MOST_POINTS = 96;

const COURSES_OF_LESS: Readonly<Record<Course, Course>> = {
  ...{ grows: 'grew', grew: 'grew', steady: 'steady', shrank: 'shrank', shrinks: 'shrank' },
};

/**
 * What a figure does over days, whatever comes back each day. In less than two days that it goes on cannot be told:
 * it `grew`, which the hour of the day may explain.
 *
 * @returns null: of so few samples, or so short a time, it cannot be told
 */
export function dayTrendOf(series: DaySeries): Trend | null {
  if (series.seconds < LEAST_RATE_SECONDS) return null;
  if (series.seconds < LEAST_SECONDS) {
    const trend = trendOf(series);
    return trend && { ...trend, course: COURSES_OF_LESS[trend.course] };
  }
  const width = widthFor(series.seconds);
  const raw = series.points(width);
  const { points, more } = width < DAY ? withoutRhythm(raw, width) : { points: raw, more: 1 };
  const fit = fitOf(points);
  const whole = fit?.(more);
  if (!whole) return null;
  const sure = fit?.(CAUTION * more);
  const later = fitOf(laterHalf(points))?.(CAUTION * more);
  return {
    growth: {
      ...{ perSecond: whole.slope, low: whole.low, high: whole.high },
      ...{ confidence: CONFIDENCE, samples: series.samples, seconds: series.seconds },
    },
    course: sure ? courseOf(sure, later) : 'steady',
  };
}

/** Over days. */
export const OF_DAYS: HistoryKind<DaySeries> = { make: () => new DaySeries(), trendOf: dayTrendOf };

/** Seconds of each point: an hour, or so many that there are not too many points. */
function widthFor(seconds: number): number {
  for (const hours of [1, 2, 4, 8]) if (seconds <= MOST_POINTS * 3600 * hours) return 3600 * hours;
  let width = DAY;
  while (seconds > MOST_POINTS * width) width *= 2;
  return width;
}
