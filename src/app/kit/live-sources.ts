import type { FromOptions } from './from-argument.js';

/** What can tell of a running kernel's memory, what tells most first. */
export const LIVE_SOURCES = ['kcore', 'pageflags', 'counters'] as const;

export type LiveSource = (typeof LIVE_SOURCES)[number];

export interface LiveOptions extends FromOptions {
  /** This one or none; unless told, the first that can be opened. */
  readonly source?: LiveSource;
}
