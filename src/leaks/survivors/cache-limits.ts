import { isHostError } from '../../base/errors/host.js';
import type { HostSource } from '../../host/host-source.js';

/** A cache whose objects are kept until a time is over, and that has so many at most. */
export interface CacheLimit {
  /** Objects now. */
  readonly held: number;
  readonly most: number;
}

/** By the name of the cache. */
export type CacheLimits = ReadonlyMap<string, CacheLimit>;

/** Connections that netfilter follows (net/netfilter/nf_conntrack_standalone.c): of this network namespace. */
const CONNTRACK = '/proc/sys/net/netfilter/nf_conntrack_';

/** What of this machine's caches fills up to a limit, as the kernel tells it. One that does not tell has none. */
export function cacheLimits(source: Pick<HostSource, 'readText'>): CacheLimits {
  const [held, most] = ['count', 'max'].map((name) => numberIn(source, `${CONNTRACK}${name}`));
  // A limit of 0 is none.
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
