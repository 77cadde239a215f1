import { isHostError, type UnavailableCode } from '../../base/errors.js';
import type { HostSource } from '../../host/host-source.js';
import type { Survivor } from '../recording.js';
import { type Found, type Unplaced, unplaced } from './place.js';

/** Sources of the current use of blocks. */
export const LOOKUP_SOURCES = ['kcore', 'pageflags', 'none'] as const;
export type LookupSource = (typeof LOOKUP_SOURCES)[number];

/** Current use of recorded blocks. */
export interface Lookup {
  readonly source: LookupSource;
  /** Why more detailed sources are not available, one sentence for each. */
  readonly unavailable: readonly {
    readonly source: LookupSource;
    readonly code: UnavailableCode;
    readonly why: string;
  }[];
  /** Causes of doubt. */
  readonly warnings: readonly string[];
  /**
   * Objects that may be free: the free list of their slab could not be read. They count as held. Absent:
   * none.
   */
  readonly maybeFree?: number;
  /** Caches that fill up to a limit; absent if none is known. */
  readonly limits?: CacheLimits;
  of(survivor: Survivor): Found;
}

/** Result without any lookup. */
export function noLookup(why: Unplaced, unavailable: Lookup['unavailable'] = []): Lookup {
  return { source: 'none', unavailable, warnings: [], of: () => unplaced(why) };
}

/** A cache whose objects expire, with its maximum number of objects. */
export interface CacheLimit {
  /** Current number of objects. */
  readonly held: number;
  readonly most: number;
}

/** Limits by cache name. */
export type CacheLimits = ReadonlyMap<string, CacheLimit>;

/** Tracked connections of netfilter in this network namespace (net/netfilter/nf_conntrack_standalone.c). */
const CONNTRACK = '/proc/sys/net/netfilter/nf_conntrack_';

/** Caches of this machine that fill up to a limit, with the limits that the kernel reports. */
export function cacheLimits(source: Pick<HostSource, 'readText'>): CacheLimits {
  const [held, most] = ['count', 'max'].map((name) => numberIn(source, `${CONNTRACK}${name}`));
  // 0 means no limit.
  return held === undefined || !most ? new Map() : new Map([['nf_conntrack', { held, most }]]);
}

function numberIn(source: Pick<HostSource, 'readText'>, path: string): number | undefined {
  try {
    const text = source.readText(path).trim();
    return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  } catch (error) {
    if (!isHostError(error)) throw error;
    return undefined;
  }
}
