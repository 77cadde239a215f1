import { HostError } from '../../base/errors.js';
import { type FlagKind, flagKind, isTail } from '../../host/proc/frames/flags.js';
import type { FrameFile } from '../../host/proc/frames/frame-file.js';
import type { AllocationType, Survivor } from '../recording.js';
import type { Lookup } from './lookup.js';
import { type Found, type Place, placed, unplaced } from './place.js';

/** Words read at once: the page, and the following ones of its block, which has at most 2^10 frames. */
export const MOST_WORDS = 1025;

const PLACES_OF: Readonly<Partial<Record<FlagKind, Place>>> = {
  free: 'free',
  slab: 'slab',
  'page-table': 'page-table',
  hugetlb: 'anonymous',
  'swap-cache': 'anonymous',
  anonymous: 'anonymous',
  file: 'page-cache',
  shmem: 'shared',
  offline: 'kernel',
  reserved: 'kernel',
};

/**
 * Looks blocks up by the flags of their page frames (/proc/kpageflags) if kernel memory cannot be read. A
 * page without a known flag may have any owner, and a page on a per-CPU free list looks the same.
 */
export function lookupByFlags(
  flags: FrameFile,
  type: AllocationType,
  unavailable: Lookup['unavailable'],
): Lookup {
  return {
    source: 'pageflags',
    unavailable,
    warnings: [],
    of: (survivor) => (type === 'page' ? byFlags(flags, survivor) : unplaced('flags-only')),
  };
}

function byFlags(flags: FrameFile, { place, order }: Survivor): Found {
  const size = 2 ** (order ?? 0);
  // Blocks are aligned to their size; the remainder of one may begin within it.
  const start = Math.floor(Number(place) / size) * size;
  const at = 8 * (Number(place) - start);
  let words: Buffer;
  try {
    words = flags.words(start, Math.min(MOST_WORDS, size + 1));
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return unplaced('unreadable');
  }
  if (words.length < at + 8) return unplaced('no-such-frame');
  const head = order === null ? at : headBefore(words, at);
  if (head < 0 || (order !== null && isLonger(words, size))) return placed('reused');
  const kind = flagKind(words.readUInt32LE(head), words.readUInt32LE(head + 4));
  if (kind === 'hole') return unplaced('no-such-frame');
  const found = PLACES_OF[kind];
  return found === undefined ? unplaced('flags-only') : placed(found);
}

/** Index of the head of a frame, or of itself; -1: it is before the block. */
function headBefore(words: Buffer, at: number): number {
  for (let head = at; head >= 0; head -= 8) if (!isTail(words.readUInt32LE(head))) return head;
  return -1;
}

/** Whether the current allocation is longer than the block, which never grows. */
function isLonger(words: Buffer, size: number): boolean {
  return 8 * size + 4 <= words.length && isTail(words.readUInt32LE(8 * size));
}
