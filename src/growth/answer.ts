import type { ProcessSample } from '../account/processes/process.js';
import type { MachineSample } from '../records/machine-sample.js';
import type { History, HistoryKind, Trend } from './trend.js';

/** Growth of a process. */
export interface GrownProcess {
  /** Its last sample. */
  readonly sample: ProcessSample;
  /** Trend of the held memory; null: too few samples. */
  readonly trend: Trend | null;
  /** Page faults per second; null: there is no earlier sample. */
  readonly minorPerSecond: number | null;
  readonly majorPerSecond: number | null;
}

/** A process that has exited. */
export interface EndedProcess extends GrownProcess {
  /** Time when it was last seen, seconds since boot. */
  readonly seenAt: number;
  /** Another process has its pid now. */
  readonly pidReused: boolean;
}

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

/** Trend of MemAvailable, and whether processes explain it. */
export interface Loss {
  /** Trend of MemAvailable; null: too few samples, or not available. */
  readonly available: Trend | null;
  /** Trend of the sum of all processes; null: some are unknown. */
  readonly held: Trend | null;
  /** Trend of the sum of both, which processes do not change by taking available memory. */
  readonly rest: Trend | null;
  /** Seconds until MemAvailable reaches zero at this rate; null: no significant decline. */
  readonly ends: { readonly soonest: number; readonly likely: number; readonly latest: number } | null;
  /**
   * What explains the decline. `processes`: they explain at least half of it; `nothing`: nothing that grew
   * here explains half of it. Null: no significant decline, or undecided.
   */
  readonly explanation: 'processes' | 'nothing' | null;
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
  const [available, held, rest] = [series.available, series.held, series.rest].map(kind.trendOf);
  const trends = { available: available ?? null, held: held ?? null, rest: rest ?? null };
  if (available?.course !== 'shrinks') return { ...trends, ends: null, explanation: null };
  const { growth } = available;
  const left = series.available.last?.value ?? 0;
  return {
    ...trends,
    ends: { soonest: left / -growth.low, likely: left / -growth.perSecond, latest: left / -growth.high },
    explanation: explanationOf(-growth.perSecond, rest ?? null, kind.trendOf(series.restOfSeen)),
  };
}

/** Each claim is tested with the bound that can refute it. */
function explanationOf(fall: number, rest: Trend | null, restOfSeen: Trend | null): Loss['explanation'] {
  if (restOfSeen && -restOfSeen.growth.low <= fall / 2) return 'processes';
  return rest && -rest.growth.high > fall / 2 ? 'nothing' : null;
}
