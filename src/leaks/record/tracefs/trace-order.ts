import type { AllocationType } from '../../recording.js';

/** What is to be recorded through tracefs. */
export interface TraceOrder {
  readonly type: AllocationType;
  readonly seconds: number;
  /** Readings are made at the beginning and at the end of each: so many in `seconds`. */
  readonly windows: number;
  /** One place in so many (a power of two); `auto`: as many as the budget allows. */
  readonly sample: 'auto' | number;
  /** Share of one CPU that it may cost, our own time included. */
  readonly budget: number;
  /** Smaller blocks of pages are not followed; 0: all are. */
  readonly minOrder: number;
  /** Whose allocations are followed; null: everybody's. */
  readonly threads: ((tid: number) => boolean) | null;
  /** Allocations that are kept in memory at most; where it gets near that, the sample is made smaller. */
  readonly maxBlocks: number;
  /** Survivors that are told one by one. */
  readonly maxSurvivors: number;
  /** Ends it early. */
  readonly stop: AbortSignal;
  /** Told about once a second. */
  readonly progress: (figures: TraceFigures) => void;
}

/** How far it is. */
export interface TraceFigures {
  /** Seconds since it began. */
  readonly seconds: number;
  /** Allocations and frees that were read, in all, and of each second lately. */
  readonly events: number;
  readonly perSecond: number;
  /** One place in so many is followed. */
  readonly oneIn: number;
  /** Of one CPU, what it costs. */
  readonly share: number;
  /** Allocations that are kept now. */
  readonly kept: number;
}
