import type { History, HistoryKind } from './history.js';
import type { Trend } from './trend.js';

/** What becomes of MemAvailable, and whether processes have it. */
export interface Loss {
  /** Of MemAvailable; null: too few samples, or it is not told. */
  readonly available: Trend | null;
  /** Of what all processes take of it together; null: of some nothing is known. */
  readonly held: Trend | null;
  /** Of both together: what processes take from MemAvailable leaves it as it is. */
  readonly rest: Trend | null;
  /** Seconds until MemAvailable is nothing, if it goes on so; null: it does not fall for sure. */
  readonly ends: {
    readonly soonest: number;
    readonly likely: number;
    readonly latest: number;
  } | null;
  /**
   * What explains the fall: `processes`: at most half of it is of something else; `nothing`: more than half of it
   * is in nothing that grew here. Null: it does not fall for sure, or which of both cannot be told.
   */
  readonly explanation: 'processes' | 'nothing' | null;
}

/** The figures of a machine that losses are told by, in bytes. */
export interface LossSeries<H extends History> {
  /** All samples: when they were, and no more. */
  readonly clock: H;
  readonly available: H;
  /** Where shared memory of some counts for each, it is at least as much as all hold. */
  readonly held: H;
  readonly rest: H;
  /** The same with those processes alone that share nothing twice: no more than all hold. */
  readonly restOfSeen: H;
}

export function lossOf<H extends History>(series: LossSeries<H>, kind: HistoryKind<H>): Loss {
  const [available, held, rest] = [series.available, series.held, series.rest].map(kind.trendOf);
  const trends = { available: available ?? null, held: held ?? null, rest: rest ?? null };
  if (available?.course !== 'shrinks') return { ...trends, ends: null, explanation: null };
  const { growth } = available;
  const left = series.available.last?.value ?? 0;
  return {
    ...trends,
    ends: {
      soonest: left / -growth.low,
      likely: left / -growth.perSecond,
      latest: left / -growth.high,
    },
    explanation: explanationOf(-growth.perSecond, rest ?? null, kind.trendOf(series.restOfSeen)),
  };
}

/** Each by the sum that can only speak against it. */
function explanationOf(
  fall: number,
  rest: Trend | null,
  restOfSeen: Trend | null,
): Loss['explanation'] {
  if (restOfSeen && -restOfSeen.growth.low <= fall / 2) return 'processes';
  return rest && -rest.growth.high > fall / 2 ? 'nothing' : null;
}
