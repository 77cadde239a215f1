import type { Sampled } from './points.js';
import { Series } from './series.js';
import { type Trend, trendOf } from './trend.js';

/** Samples of one figure, in bounded memory however many come. */
export interface History extends Sampled {
  /** What came last. */
  readonly last: { readonly time: number; readonly value: number } | undefined;
  /**
   * @param time seconds
   * @returns false: it is not later than the one before, and was not taken
   */
  add(time: number, value: number): boolean;
}

/** How histories are kept, and what they tell. */
export interface HistoryKind<H extends History = History> {
  make(): H;
  /** @returns null: it cannot be told */
  trendOf(history: H): Trend | null;
}

/** Of looks that follow each other, for minutes or hours. */
export const OF_LOOKS: HistoryKind<Series> = { make: () => new Series(), trendOf };
