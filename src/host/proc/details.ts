import type { HostSource } from '../host-source.js';
import { type Listed, listed } from './listed.js';
import { readPageSize } from './memory.js';
import { type HostSlabCache, readSlabCaches } from './slab-caches.js';
import { readVmallocPages, type VmallocPages } from './vmalloc-areas.js';
import { type HostZone, readZones } from './zones.js';

/** What lists of /proc tell of memory beside counters; of each that cannot be read why. */
export interface HostDetails {
  readonly vmalloc: Listed<VmallocPages>;
  /** The largest first. */
  readonly caches: Listed<readonly HostSlabCache[]>;
  readonly zones: Listed<readonly HostZone[]>;
}

export function readHostDetails(source: HostSource): HostDetails {
  return {
    vmalloc: listed(() => readVmallocPages(source)),
    caches: listed(() => readSlabCaches(source, readPageSize(source))),
    zones: withBlocks(listed(() => readZones(source))),
  };
}

/** Zones are told with their free blocks, or not at all. */
function withBlocks(zones: Listed<readonly HostZone[]>): Listed<readonly HostZone[]> {
  const lacks = 'list' in zones && zones.list.some(({ freeBlocks }) => freeBlocks.length === 0);
  return lacks
    ? { code: 'unreadable', why: '/proc/buddyinfo does not tell the free blocks of each zone' }
    : zones;
}
