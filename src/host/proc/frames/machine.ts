import type { MemoryCounters } from '../../../memory-counters.js';
import { HostError } from '../../error.js';
import type { HostSource } from '../../host-source.js';
import { type HostDetails, readHostDetails } from '../details.js';
import { listed } from '../listed.js';
import { readPageSize } from '../memory.js';
import { readHostCounts } from '../memory-counts.js';
import { type HostZone, readZones } from '../zones.js';
import { type FrameFile, openFrameFile } from './frame-file.js';
import { readMemoryMap } from './iomem.js';
import { CHUNK_FRAMES, type FlagScan, scanFlags } from './scan.js';

/** A machine as root sees it without its kernel's memory. */
export interface HostFrames extends HostDetails {
  /** Counters before and after flags were read. */
  readonly before: MemoryCounters;
  readonly after: MemoryCounters;
  readonly frames: FlagScan;
}

/** Opens a file of /proc that has a word for each page frame. */
type Open = (path: string, most: number) => FrameFile;

/**
 * Reads /proc/kpageflags, and the counters and lists beside it.
 *
 * @param progress told now and then which part is done, 0 to 1
 * @throws {HostError} `gone`, `denied`, `unreadable`: /proc/kpageflags, iomem or meminfo cannot be had
 */
export function readHostFrames(
  source: HostSource,
  progress: (part: number) => void = () => undefined,
  open: Open = openFrameFile,
): HostFrames {
  const flags = open('/proc/kpageflags', CHUNK_FRAMES);
  try {
    const pageSize = readPageSize(source);
    const map = readMemoryMap(source, pageSize);
    if (flags.words(map.ram[0]?.start ?? 0, 1).length === 0)
      throw new HostError('unreadable', '/proc/kpageflags is empty');
    const zones = listed(() => readZones(source));
    const cgroups = listed(() => open('/proc/kpagecgroup', CHUNK_FRAMES));
    try {
      const before = readHostCounts(source);
      const frames = scanFlags(flags, {
        ...{ map, progress },
        zones: placesOf('list' in zones ? zones.list : []),
        cgroups: 'list' in cgroups ? cgroups.list : undefined,
      });
      const details = readHostDetails(source);
      const after = readHostCounts(source);
      return { before, after, frames, ...details };
    } finally {
      if ('list' in cgroups) cgroups.list.close();
    }
  } finally {
    flags.close();
  }
}

/** By node and name where there are several nodes. */
function placesOf(zones: readonly HostZone[]) {
  const several = new Set(zones.map(({ nodeId }) => nodeId)).size > 1;
  return zones.map(({ nodeId, name, start, spanned }) => ({
    ...{ name: several ? `${nodeId} ${name}` : name, start, end: start + spanned },
  }));
}
