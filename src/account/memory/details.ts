import type { UnavailableCode } from '../../base/errors.js';
import type { CachedFiles } from '../../records/files.js';
import { freePages, type ZoneRecord } from '../../records/machine-sample.js';
import type { CacheFigures, MemoryAnswer, ZoneFigures } from './answer.js';
import { categoryOfCaller, takesStacks } from './areas.js';
import { leaves } from './tree.js';

/** Content of a list in /proc, or why it is not available. */
export type Listed<T> = { readonly list: T } | { readonly code: UnavailableCode; readonly why: string };

/** Lists of /proc about the memory of a running machine, beside counters. */
export interface MachineLists {
  /** vmalloc pages by caller. */
  readonly vmalloc: Listed<ReadonlyMap<string, number>>;
  /** Largest first. */
  readonly caches: Listed<readonly CacheFigures[]>;
  readonly zones: Listed<readonly ZoneRecord[]>;
}

type Details = Pick<MemoryAnswer, 'caches' | 'callers' | 'zones' | 'noDetails' | 'noDetailCodes'>;

/** Returns the parts of an answer that come from lists, and why others are not available. */
export function detailsOf({ vmalloc, caches, zones }: MachineLists, pageSize: number): Details {
  return {
    caches: 'list' in caches ? caches.list : [],
    callers: 'list' in vmalloc ? callersOf(vmalloc.list, pageSize) : [],
    zones: 'list' in zones ? zones.list.map(zoneFigures) : [],
    noDetails: {
      ...('why' in caches ? { caches: caches.why } : {}),
      ...('why' in vmalloc ? { callers: vmalloc.why } : {}),
      ...('why' in zones ? { zones: zones.why } : {}),
    },
    noDetailCodes: {
      ...('code' in caches ? { caches: caches.code } : {}),
      ...('code' in vmalloc ? { callers: vmalloc.code } : {}),
      ...('code' in zones ? { zones: zones.code } : {}),
    },
  };
}

/** A zone as JSON has it. */
export const zoneFigures = ({ nodeId, name, present, managed, freeBlocks, watermarks }: ZoneRecord): ZoneFigures => ({
  node: nodeId,
  zone: name,
  presentPages: present,
  managedPages: managed,
  freePages: freeBlocks.length === 0 ? null : freePages(freeBlocks),
  freeBlocks,
  watermarks,
});

/** Returns the callers without thread stacks, which have their own category. */
function callersOf(pages: ReadonlyMap<string, number>, pageSize: number): MemoryAnswer['callers'] {
  return [...pages]
    .filter(([name]) => !takesStacks(name))
    .map(([caller, count]) => ({ caller, bytes: count * pageSize, category: categoryOfCaller(caller) }))
    .toSorted((a, b) => b.bytes - a.bytes);
}

/** Part of the categories that may change between the two readings, and its minimum in bytes. */
const MOVED_SHARE = 0.02;
const MIN_MOVED = 16 << 20;

/** Bytes of all page cache and shared memory, by frames or counters. */
export function cacheBytes({ memory }: MemoryAnswer): number {
  return leaves(memory)
    .filter(({ category }) => category === 'page-cache' || category === 'shared')
    .reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Adds open and mapped files, and a warning if they have more pages than page cache and shared memory have. */
export function withCachedFiles(answer: MemoryAnswer, { files, leftOut }: CachedFiles): MemoryAnswer {
  const all = cacheBytes(answer);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  // Files of different mounts may be one file below, whose pages count in each.
  const elsewhereBytes = files.some(({ fsType }) => fsType === 'overlay') ? null : all - bytes;
  const isTooMuch = elsewhereBytes !== null && -elsewhereBytes > Math.max(MIN_MOVED, MOVED_SHARE * all);
  const message = `files have ${bytes} resident bytes, but page cache and shared memory only ${all}`;
  const warnings = isTooMuch ? [...answer.warnings, { code: 'corrupt', message } as const] : answer.warnings;
  const cachedFiles = { source: 'fincore', bytes, elsewhereBytes, files, leftOut } as const;
  return { ...answer, cachedFiles, warnings, complete: false };
}
