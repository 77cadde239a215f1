import type { SourceOptions } from './kernel-source.js';

/** What can tell of a running kernel's memory, what tells most first. */
export const LIVE_SOURCES = ['kcore', 'pageflags', 'counters'] as const;

export type LiveSource = (typeof LIVE_SOURCES)[number];

export interface LiveOptions extends SourceOptions {
  /** This one or none; unless told, the first that can be opened. */
  readonly source?: LiveSource;
  /** A capture, in place of a kernel. */
  readonly from?: string;
}
