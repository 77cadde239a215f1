import type { CachedFiles } from '../../records/files.js';
import type { MemoryAnswer } from './answer.js';
import { leaves } from './tree.js';

/** Part of the categories that may change between the two readings, and its minimum in bytes. */
const MOVED_SHARE = 0.02;
const MIN_MOVED = 16 << 20;

/** Bytes of all page cache and shared memory, by frames or counters. */
export function cacheBytes({ memory }: MemoryAnswer): number {
  return leaves(memory)
    .filter(({ category }) => category === 'page-cache' || category === 'shared')
    .reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Resident bytes of the files together. */
export function residentBytes({ files }: CachedFiles): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Whether files of different mounts may be one file below, whose pages count in each. */
export function hasOverlays({ files }: CachedFiles): boolean {
  return files.some(({ fsType }) => fsType === 'overlay');
}

/** Adds open and mapped files, and a warning if they have more pages than page cache and shared memory have. */
export function withCachedFiles(answer: MemoryAnswer, cached: CachedFiles): MemoryAnswer {
  const [all, found] = [cacheBytes(answer), residentBytes(cached)];
  const isTooMuch = found > all + Math.max(MIN_MOVED, MOVED_SHARE * all) && !hasOverlays(cached);
  const message = `files have ${found} resident bytes, but page cache and shared memory only ${all}`;
  const warnings = isTooMuch
    ? [...answer.warnings, { code: 'corrupt', message } as const]
    : answer.warnings;
  return { ...answer, cachedFiles: cached, warnings, complete: false };
}
