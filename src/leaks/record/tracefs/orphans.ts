import { readdirSync, rmdirSync } from 'node:fs';
import { liveHost } from '../../../host/live.js';
import { startTicks } from '../../../host/proc/process.js';
import { ownerOf } from './instance-name.js';

/**
 * Removes instances whose process is gone: it was killed before it could. One that somebody reads, as a process
 * of another pid namespace does that only seems to be gone, the kernel does not remove (EBUSY).
 *
 * @returns names of those that were removed
 */
export function removeOrphans(root: string): readonly string[] {
  const instances = `${root}/instances`;
  return readdirSync(instances).filter((name) => {
    const owner = ownerOf(name);
    if (owner === undefined || startTicks(liveHost, owner.pid) === owner.start) return false;
    try {
      rmdirSync(`${instances}/${name}`);
      return true;
    } catch {
      return false;
    }
  });
}
