import { DAY, DaySeries } from './day-series.js';
import { CONFIDENCE } from './growth.js';
import type { HistoryKind } from './history.js';
import { medianOf } from './median.js';
import { laterHalf, type Points } from './points.js';
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
  grows: 'grew',
  grew: 'grew',
  steady: 'steady',
  shrank: 'shrank',
  shrinks: 'shrank',
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
      perSecond: whole.slope,
      low: whole.low,
      high: whole.high,
      confidence: CONFIDENCE,
      samples: series.samples,
      seconds: series.seconds,
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

/** Points without what comes back each day. */
interface Bare {
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
function withoutRhythm({ times, values }: Points, width: number): Bare {
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
