import { HostError, isHostError, type UnavailableCode } from '../../base/errors.js';
import type { HostSource } from '../../host/host-source.js';
import { type FlagKind, flagKind, isTail } from '../../host/proc/frames/flags.js';
import type { FrameFile } from '../../host/proc/frames/frame-file.js';
import type { AllocationType, Survivor } from '../recording.js';
import { type Found, type Place, placed, type Unplaced, unplaced } from './place.js';

/** Sources of the current use of blocks. */
export const LOOKUP_SOURCES = ['kcore', 'pageflags', 'none'] as const;
export type LookupSource = (typeof LOOKUP_SOURCES)[number];

/** Current use of recorded blocks. */
export interface Lookup {
  readonly source: LookupSource;
  /** Why more detailed sources are not available, one sentence for each. */
  readonly unavailable: readonly {
    readonly source: LookupSource;
    readonly code: UnavailableCode;
    readonly why: string;
  }[];
  /** Causes of doubt. */
  readonly warnings: readonly string[];
  /**
   * Objects that may be free: the free list of their slab could not be read. They count as held. Absent:
   * none.
   */
  readonly maybeFree?: number;
  /** Caches that fill up to a limit; absent if none is known. */
  readonly limits?: CacheLimits;
  of(survivor: Survivor): Found;
}

/** Result without any lookup. */
export function noLookup(why: Unplaced, unavailable: Lookup['unavailable'] = []): Lookup {
  return { source: 'none', unavailable, warnings: [], of: () => unplaced(why) };
}

/** A cache whose objects expire, with its maximum number of objects. */
export interface CacheLimit {
  /** Current number of objects. */
  readonly held: number;
  readonly most: number;
}

/** Limits by cache name. */
export type CacheLimits = ReadonlyMap<string, CacheLimit>;

/** Tracked connections of netfilter in this network namespace (net/netfilter/nf_conntrack_standalone.c). */
const CONNTRACK = '/proc/sys/net/netfilter/nf_conntrack_';

/** Caches of this machine that fill up to a limit, with the limits that the kernel reports. */
export function cacheLimits(source: Pick<HostSource, 'readText'>): CacheLimits {
  const [held, most] = ['count', 'max'].map((name) => numberIn(source, `${CONNTRACK}${name}`));
  // 0 means no limit.
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
