import { statSync } from 'node:fs';
import { type FilteredKind, filteredKinds } from './filter.js';
import type { ImageFacts, MemoryImage } from './image.js';

/** What can be told of a dump before anything in it is understood. Sizes are bytes. */
export interface DumpFacts extends Omit<ImageFacts, 'physicalRanges' | 'files'> {
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** Kinds of pages that were left out; undefined where no header says it. */
  readonly filtered: readonly FilteredKind[] | undefined;
  /** Memory that is stored, or known to be zero. */
  readonly stored: number;
  /** False where there is more than was counted. */
  readonly storedExact: boolean;
}

/** A filtered terabyte has millions of ranges; past this many, the rest is not counted. */
const MOST_RANGES = 2_000_000;

/** Describes an image, and counts the memory in it. */
export function describeDump(image: MemoryImage): DumpFacts {
  const { physicalRanges, files, ...facts } = image.facts;
  let stored = 0;
  let ranges = 0;
  for (const { start, end } of physicalRanges) {
    if (++ranges > MOST_RANGES) break;
    stored += end - start;
  }
  return {
    ...facts,
    files: files.map((path) => ({ path, bytes: sizeOf(path) })),
    filtered: facts.dumpLevel === undefined ? undefined : filteredKinds(facts.dumpLevel),
    stored,
    storedExact: ranges <= MOST_RANGES,
  };
}

/** /proc/kcore's size means nothing. */
function sizeOf(path: string): number {
  return path === '/proc/kcore' ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
}
