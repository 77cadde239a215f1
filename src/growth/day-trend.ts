import type { Course } from '../contracts/growth.js';
import { laterHalf, medianOf, type Points, Samples } from './series.js';
import { courseOf, fitOf, growthOf, type HistoryKind, type Trend, trendOf } from './trend.js';

/** Seconds of a day: the period of daily load. */
export const DAY = 86_400;

/** Each width divides the next, and all divide a day: pieces of two days begin at the same hours. */
const WIDTHS = [1, 5, 15, 60, 300, 900, 3600, 7200, 14_400, 28_800, DAY];

/** Eight days in pieces of one hour. */
const MAX_PIECES = 192;

/**
 * Samples of one figure over days, in limited memory: means of time pieces that begin at the same hours of
 * each day. When it is full, the pieces are widened, so that all of the time is kept.
 */
export class DaySeries extends Samples {
  /** Non-empty pieces in order of time: number of the piece, number of samples, sums of times and values. */
  readonly #pieces: { at: number; samples: number; time: number; value: number }[] = [];
  #width = 1;

  /** Width of a piece, seconds. */
  get width(): number {
    return this.#width;
  }

  protected keep(time: number, value: number): void {
    const at = Math.floor(time / this.#width);
    const open = this.#pieces.at(-1);
    if (open?.at === at) {
      open.samples++;
      open.time += time;
      open.value += value;
      return;
    }
    this.#pieces.push({ at, samples: 1, time, value });
    while (this.#pieces.length > MAX_PIECES) this.#widen();
  }

  /**
   * Means of pieces that divide a day, at least this wide; the last one may be partial.
   *
   * @param least seconds, a part of a day or several days
   */
  points(least = 0): Points {
    let width = this.#width;
    while (width < least) width = nextWidth(width);
    const pieces = joined(this.#pieces, width / this.#width);
    return {
      times: Float64Array.from(pieces, ({ time, samples }) => time / samples),
      values: Float64Array.from(pieces, ({ value, samples }) => value / samples),
    };
  }

  #widen(): void {
    const wider = nextWidth(this.#width);
    const pieces = joined(this.#pieces, wider / this.#width);
    this.#pieces.splice(0, this.#pieces.length, ...pieces);
    this.#width = wider;
  }
}

type Piece = { at: number; samples: number; time: number; value: number };

function joined(pieces: readonly Readonly<Piece>[], factor: number): Piece[] {
  const merged: Piece[] = [];
  for (const { at, ...sums } of pieces) {
    const number = Math.floor(at / factor);
    const open = merged.at(-1);
    if (open?.at === number) {
      open.samples += sums.samples;
      open.time += sums.time;
      open.value += sums.value;
    } else merged.push({ at: number, ...sums });
  }
  return merged;
}

function nextWidth(width: number): number {
  return WIDTHS.find((candidate) => candidate > width) ?? 2 * width;
}

/** Minimum time to distinguish growth from daily patterns. */
export const MIN_SECONDS = 2 * DAY;

/**
 * Seconds. A daily rate from a shorter time would multiply the observation by more than 24: it is not
 * reported.
 */
export const MIN_RATE_SECONDS = 3600;

/**
 * Hundreds of figures are judged repeatedly: growth requires 4 standard deviations instead of the 2.58 of its
 * interval. The variance is increased accordingly.
 */
const CAUTION = 2.41;

/** Slopes between all pairs take quadratic time, and about a hundred points are as good as thousands. */
const MAX_POINTS = 96;

const COURSES_OF_LESS: Readonly<Record<Course, Course>> = {
  grows: 'grew',
  grew: 'grew',
  steady: 'steady',
  shrank: 'shrank',
  shrinks: 'shrank',
};

/**
 * Trend of a figure over days, without its daily rhythm. With less than two days continued growth cannot be
 * shown: it `grew`, which the time of day may explain.
 *
 * @returns null: too few samples, or too short a time
 */
export function dayTrendOf(series: DaySeries): Trend | null {
  if (series.seconds < MIN_RATE_SECONDS) return null;
  if (series.seconds < MIN_SECONDS) {
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
  return { growth: growthOf(whole, series), course: sure ? courseOf(sure, later) : 'steady' };
}

/** For samples over days. */
export const DAY_HISTORY: HistoryKind<DaySeries> = { make: () => new DaySeries(), trendOf: dayTrendOf };

/** Seconds of each point: an hour, or more to limit the number of points. */
function widthFor(seconds: number): number {
  for (const hours of [1, 2, 4, 8]) if (seconds <= MAX_POINTS * 3600 * hours) return 3600 * hours;
  let width = DAY;
  while (seconds > MAX_POINTS * width) width *= 2;
  return width;
}

/** Points without their daily pattern. */
interface Bare {
  readonly points: Points;
  /** Factor by which removing the daily pattern widens the interval of the trend. */
  readonly more: number;
}

/**
 * Removes the daily pattern. The slope is the median of the slopes between equal hours of the day (R. M.
 * Hirsch, J. R. Slack, R. A. Smith, Techniques of trend analysis for monthly water quality data, Water
 * Resources Research 18, 1982), and the pattern is the mean of each hour without that slope.
 *
 * The trend then depends only on differences between days. Removing the mean reduces the variance of the
 * residuals, which is corrected for D days by D^2 / (D^2 - 1) and D / (D - 1).
 *
 * @param width seconds averaged in each point; a part of a day
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
        slopes.push(((values[right] ?? 0) - (values[left] ?? 0)) / ((times[right] ?? 0) - (times[left] ?? 0)));
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
  return numbers.reduce((sum, value) => sum + value, 0) / Math.max(1, numbers.length);
}
