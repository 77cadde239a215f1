import { type Sampled, Series } from './series.js';
import { type Trend, trendOf } from './trend.js';

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
