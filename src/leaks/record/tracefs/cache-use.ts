import { cpus } from 'node:os';
import { isHostError } from '../../../base/errors.js';
import type { HostSource } from '../../../host/host-source.js';
import { liveHost } from '../../../host/live.js';
import { slabLines } from '../../../host/proc/details.js';
import type { CacheUse } from '../../recording.js';

/** Slabs that each CPU may keep, its current one and partial ones: their free objects count as in use. */
const SLABS_OF_CPU = 2;

/** Objects in use of each slab cache, from /proc/slabinfo; null if it cannot be read. */
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
