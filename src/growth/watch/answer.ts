import type { MemorySource } from '../../account/memory/answer.js';
import type { GrowthAnswer } from '../answer.js';
import type { GroupHistory, GrownCategory } from './categories.js';

/** Times without samples. */
export interface Gaps {
  readonly count: number;
  readonly seconds: number;
  readonly longest: number;
}

/** Result of an earlier boot. */
export interface EarlierBoot {
  readonly bootId: string | null;
  readonly from: Date;
  readonly to: Date;
  readonly samples: number;
  readonly seconds: number;
  readonly verdict: WatchVerdict;
  /** Categories with significant growth, fastest first. */
  readonly growing: readonly GrownCategory[];
}

/** Facts about a machine since its last boot. */
export interface WatchFacts {
  readonly growth: GrowthAnswer;
  /** Wall-clock time of the first sample of this boot. */
  readonly from: Date;
  readonly seconds: number;
  /** Undefined: no sample has a memory breakdown. */
  readonly source: MemorySource | undefined;
  readonly sourceChanges: number;
  /** Number of times the sum of all categories changed, but not the memory of the machine. */
  readonly sumChanges: number;
  readonly categories: readonly GrownCategory[];
  readonly groups: readonly GroupHistory[];
  /**
   * Samples between which the wall clock and the uptime advanced differently, and the sum of the differences
   * in seconds.
   */
  readonly clockSteps: { readonly count: number; readonly seconds: number };
  readonly gaps: Gaps;
  /** Number of missing samples. */
  readonly lost: number;
  /** Number of samples without a memory breakdown, and the reason of the last one. */
  readonly withoutLedger: { readonly count: number; readonly why: string | null };
  /** Some processes are missing. */
  readonly hidden: boolean;
}

/** Growth of a watched machine. */
export interface WatchAnswer extends WatchFacts, Judgement {
  /** The latest earlier boots; at most a few. */
  readonly earlier: readonly EarlierBoot[];
}

/**
 * Reasons to doubt that nothing grew, and further observations. `too-short`: less than two days, so that the
 * time of day may explain the changes. `gaps`: times without samples. `lost-samples`: samples that could not
 * be taken or stored. `no-categories`: samples without a memory breakdown. `source-changed`: the memory
 * breakdown changed its source. `sum-changed`: the sum of all categories changed, but not the memory of the
 * machine. `may-grow`: growth of a category cannot be excluded. `available-falls`: MemAvailable declines, but
 * no category grows. `rebooted`: the result covers only the last boot. `clock`: times that contradict each
 * other. `hidden`: /proc hides processes.
 */
export const WATCH_DOUBT_CODES = [
  'too-short',
  'gaps',
  'lost-samples',
  'no-categories',
  'source-changed',
  'sum-changed',
  'may-grow',
  'available-falls',
  'rebooted',
  'clock',
  'hidden',
] as const;
export type WatchDoubtCode = (typeof WATCH_DOUBT_CODES)[number];

export interface WatchDoubt {
  readonly code: WatchDoubtCode;
  /** Number of gaps, samples or boots. */
  readonly count?: number;
  readonly seconds?: number;
  readonly category?: GrownCategory;
  readonly why?: string;
}

/**
 * `grows`: something grows significantly. `nothing-grows`: known that nothing does. `inconclusive`: neither.
 */
export type WatchVerdict = 'grows' | 'nothing-grows' | 'inconclusive';

export interface Judgement {
  readonly verdict: WatchVerdict;
  readonly doubts: readonly WatchDoubt[];
  /** Maximum growth of a category, bytes per second; null: unknown for some. */
  readonly atMost: number | null;
}
