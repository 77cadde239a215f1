import type { MemorySource } from '../../account/memory/answer.js';
import type { GrowthAnswer } from '../answer.js';
import type { GroupHistory, GrownCategory } from './categories.js';
import type { Judgement, WatchVerdict } from './doubts.js';

/** Times without samples. */
export interface Gaps {
  readonly count: number;
  readonly seconds: number;
  readonly longest: number;
}

/** What was told of a boot before the last. */
export interface EarlierBoot {
  readonly bootId: string | null;
  readonly from: Date;
  readonly to: Date;
  readonly samples: number;
  readonly seconds: number;
  readonly verdict: WatchVerdict;
  /** Categories that grew for sure, the fastest first. */
  readonly growing: readonly GrownCategory[];
}

/** What is known of a machine's last boot. */
export interface WatchFacts {
  readonly growth: GrowthAnswer;
  /** When the first sample of this boot was taken, by the clock on the wall. */
  readonly from: Date;
  readonly seconds: number;
  /** Undefined: no sample told where the memory is. */
  readonly source: MemorySource | undefined;
  readonly sourceChanges: number;
  /** How often categories together had more or less than before, and the machine had not. */
  readonly sumChanges: number;
  readonly categories: readonly GrownCategory[];
  readonly groups: readonly GroupHistory[];
  /** Samples between which the wall clock and the uptime advanced by different times; by so many seconds together. */
  readonly clockSteps: { readonly count: number; readonly seconds: number };
  readonly gaps: Gaps;
  /** Samples that were to be taken, and are not there. */
  readonly lost: number;
  /** Samples that do not tell where the memory is, and why the last of them does not. */
  readonly withoutLedger: { readonly count: number; readonly why: string | null };
  /** Of some processes nothing is told. */
  readonly hidden: boolean;
}

/** What grew while a machine was watched. */
export interface WatchAnswer extends WatchFacts, Judgement {
  /** The latest of them; no more than a few. */
  readonly earlier: readonly EarlierBoot[];
}
