import { cpus } from 'node:os';
import { isHostError } from '../../../base/errors/host.js';
import type { HostSource } from '../../../host/host-source.js';
import { liveHost } from '../../../host/live.js';
import { slabLines } from '../../../host/proc/slab-caches.js';
import type { CacheUse } from '../../recording.js';

/** Slabs that each CPU may keep, whose free objects count as in use: its current one, and partial ones. */
const SLABS_OF_CPU = 2;

/** What each slab cache has in use, by /proc/slabinfo; null: it cannot be read. */
export function cacheUse(
  source: Pick<HostSource, 'readText'> = liveHost,
  cpuCount = cpus().length,
): ReadonlyMap<string, CacheUse> | null {
  try {
    return new Map(
      slabLines(source).map(({ name, used, slotSize, slotsPerSlab }) => [
        name,
        { bytes: used * slotSize, slack: SLABS_OF_CPU * cpuCount * slotsPerSlab * slotSize },
      ]),
    );
  } catch (error) {
    if (!isHostError(error)) throw error;
    return null;
  }
}
