import type { UnavailableCode } from '../../base/errors/unavailable.js';
import type { Survivor } from '../recording.js';
import type { CacheLimits } from './cache-limits.js';
import { type Found, type Unplaced, unplaced } from './place.js';

/** What tells where blocks are. */
export const LOOKUP_SOURCES = ['kcore', 'pageflags', 'none'] as const;
export type LookupSource = (typeof LOOKUP_SOURCES)[number];

/** Where blocks are now. */
export interface Lookup {
  readonly source: LookupSource;
  /** Why no source that tells more could be had: a sentence for each. */
  readonly unavailable: readonly {
    readonly source: LookupSource;
    readonly code: UnavailableCode;
    readonly why: string;
  }[];
  /** What made it doubtful. */
  readonly warnings: readonly string[];
  /**
   * Objects, of those that were asked about, that may be free: their slab's list of free ones could not be read. They
   * are found as if they were held. Missing: there are none.
   */
  readonly maybeFree?: number;
  /** Caches that fill up to a limit; missing: none is known. */
  readonly limits?: CacheLimits;
  of(survivor: Survivor): Found;
}

/** Nothing is looked up. */
export function noLookup(why: Unplaced, unavailable: Lookup['unavailable'] = []): Lookup {
  return { source: 'none', unavailable, warnings: [], of: () => unplaced(why) };
}
