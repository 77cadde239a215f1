import type { EndedProcess, GrownProcess, Growth, Loss, MachineSample } from '../contracts/growth.js';
import { type History, type HistoryKind, NO_TREND, type Trend } from './trend.js';

/** Growth of processes since the machine's last boot, with rates and confidence. */
export interface GrowthAnswer {
  /** The last sample of the machine. */
  readonly machine: MachineSample;
  /** Number of samples of this boot. */
  readonly samples: number;
  /** Seconds from the first sample to the last. */
  readonly seconds: number;
  readonly loss: Loss;
  /** Significant growth first, fastest first. */
  readonly processes: readonly GrownProcess[];
  /** Processes that exited since the previous sample. */
  readonly ended: readonly EndedProcess[];
  /** Exited processes that grew until they exited; a few, fastest first. */
  readonly endedGrowing: readonly EndedProcess[];
  readonly pidsReused: number;
  readonly boots: number;
  /** Number of samples that were not later than the previous one. */
  readonly notLater: number;
  /**
   * Number of samples of processes that were not later than previous ones: the earlier history was dropped.
   */
  readonly restartedSeries: number;
  /** The last sample contains every process with its memory, and no times contradict each other. */
  readonly complete: boolean;
}

/** Figures of a machine that losses are computed from, in bytes. */
export interface LossSeries<H extends History> {
  /** Times of all samples, without values. */
  readonly clock: H;
  readonly available: H;
  /** Upper bound: shared memory of some processes counts for each of them. */
  readonly held: H;
  readonly rest: H;
  /** Lower bound: only processes whose shared memory is counted once. */
  readonly restOfSeen: H;
}

export function lossOf<H extends History>(series: LossSeries<H>, kind: HistoryKind<H>): Loss {
  const of = (holder: H) => kind.trendOf(holder) ?? NO_TREND;
  const [available, held, rest] = [of(series.available), of(series.held), of(series.rest)];
  const trends = {
    memAvailableGrowth: available.growth,
    memAvailableCourse: available.course,
    processesGrowth: held.growth,
    otherGrowth: rest.growth,
  };
  if (available.course !== 'shrinks') return { ...trends, memAvailableExhausted: null, explanation: null };
  const { perSecond, low, high } = available.growth;
  const left = series.available.last?.value ?? 0;
  return {
    ...trends,
    memAvailableExhausted: { soonest: left / -low, likely: left / -perSecond, latest: left / -high },
    explanation: explanationOf(-perSecond, rest.growth, kind.trendOf(series.restOfSeen)),
  };
}

/** Each claim is tested with the bound that can refute it. */
function explanationOf(fall: number, rest: Growth | null, restOfSeen: Trend | null): Loss['explanation'] {
  if (restOfSeen && -restOfSeen.growth.low <= fall / 2) return 'processes';
  return rest && -rest.high > fall / 2 ? 'nothing' : null;
}
