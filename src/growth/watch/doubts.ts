import type { GrownCategory } from './categories.js';

/**
 * What makes it doubtful that nothing grew, or was met besides. `too-short`: less than two days, in which the hour of
 * the day explains as much. `gaps`: times without samples. `lost-samples`: that could not be taken or stored.
 * `no-categories`: where the memory is was not told in some. `source-changed`: another source told of it meanwhile.
 * `sum-changed`: categories together have more or less than before, and the machine has not.
 * `may-grow`: what grows more than can be ruled out. `available-falls`: MemAvailable does, and no category grows.
 * `rebooted`: all this is of the last boot. `clock`: times that contradict each other. `hidden`: /proc hides processes.
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
  /** How many: gaps, samples, boots. */
  readonly count?: number;
  readonly seconds?: number;
  readonly category?: GrownCategory;
  readonly why?: string;
}

/** `grows`: something does for sure. `nothing-grows`: that is known. `not-known`: neither. */
export type WatchVerdict = 'grows' | 'nothing-grows' | 'inconclusive';

export interface Judgement {
  readonly verdict: WatchVerdict;
  readonly doubts: readonly WatchDoubt[];
  /** Bytes a second that no category grows faster than; null: of some it is not known. */
  readonly atMost: number | null;
}
