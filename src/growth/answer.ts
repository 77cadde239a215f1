import type { ProcessSample } from '../account/processes/sample.js';
import type { MachineSample } from '../records/machine-sample.js';
import type { Loss } from './loss.js';
import type { Trend } from './trend.js';

/** How fast a process grows. */
export interface GrownProcess {
  /** As it was last. */
  readonly sample: ProcessSample;
  /** Of what it holds; null: too few samples. */
  readonly trend: Trend | null;
  /** Page faults a second; null: there is nothing before to compare with. */
  readonly minorPerSecond: number | null;
  readonly majorPerSecond: number | null;
}

/** A process that was there and is not any more. */
export interface EndedProcess extends GrownProcess {
  /** Seconds after the boot, when it was last seen. */
  readonly seenAt: number;
  /** Another process has its pid now. */
  readonly pidReused: boolean;
}

/** What grew, how fast, how sure; of the machine's last boot. */
export interface GrowthAnswer {
  /** The last sample of it. */
  readonly machine: MachineSample;
  /** Samples of this boot that were taken. */
  readonly samples: number;
  /** From the first of them to the last. */
  readonly seconds: number;
  readonly loss: Loss;
  /** What grows for sure first, the fastest of it first. */
  readonly processes: readonly GrownProcess[];
  /** Since the sample before. */
  readonly ended: readonly EndedProcess[];
  /** Of all that have ended, those that grew to the last; the fastest first, and no more than a few. */
  readonly endedGrowing: readonly EndedProcess[];
  readonly pidsReused: number;
  readonly boots: number;
  /** Samples that were not later than the one before. */
  readonly notLater: number;
  /** Times of processes that were not later than those before: what came before them was let go. */
  readonly begunAnew: number;
  /** Every process was in the last sample, what it holds is known, and no times contradict each other. */
  readonly complete: boolean;
}
