import type { CensusEntry } from '../../account/owners.js';
import { HostError, isHostError, type UnavailableCode } from '../../base/errors.js';
import type { HostSource } from '../../host/host-source.js';
import { type FlagKind, type FrameFile, flagKind, isTail } from '../../host/proc/frames/frame-files.js';
import type { CategoryName } from '../../records/categories.js';
import type { LookupSource, Place, Unplaced } from '../../records/leak-codes.js';
import type { AllocationType, Survivor } from '../recording.js';

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
export const MAX_WORDS = 1025;

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
export function lookupByFlags(flags: FrameFile, type: AllocationType, unavailable: Lookup['unavailable']): Lookup {
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
    words = flags.words(start, Math.min(MAX_WORDS, size + 1));
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return unplaced('unreadable');
  }
  if (words.length < at + 8) return unplaced('no-such-frame');
  const head = order === null ? at : headBefore(words, at);
  if (head < 0 || (order !== null && isLonger(words, size))) return placed('reused');
  const kind = flagKind(words.readUInt32LE(head), words.readUInt32LE(head + 4));
  if (kind === 'hole') return unplaced('no-such-frame');
  const places = PLACES_OF[kind];
  return places === undefined ? unplaced('flags-only') : placed(places);
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

/** Result of looking up a block. */
export interface Found {
  readonly place: Place;
  /** Category as in `kdump-mem memory`; null if unknown. */
  readonly category: CategoryName | null;
  /** Slab cache of an object; untrusted. Null: unknown. */
  readonly cache: string | null;
  /** The socket, if `place` is `socket`. */
  readonly socket: CensusEntry | null;
  /** The reason, if `place` is `unknown`. */
  readonly why: Unplaced | null;
  /** It could not be read whether the allocator counts it as free: it is placed as if it were held. */
  readonly maybeFree?: true;
}

/** What keeps a block allocated, and whether it will be freed. */
export type Keeper =
  /** It is no longer held. */
  | 'freed'
  /** The kernel reclaims it if memory is short. */
  | 'reclaimable'
  /** It belongs to a process, and is freed when that exits. */
  | 'process'
  /** Queued until it is read. */
  | 'queued'
  /** The kernel uses it for a known purpose. */
  | 'kernel'
  /** Nothing references it. */
  | 'unreferenced'
  | 'unknown';

const KEEPERS: Readonly<Record<Exclude<Place, 'slab'>, Keeper>> = {
  free: 'freed',
  reused: 'freed',
  'page-cache': 'reclaimable',
  shared: 'process',
  anonymous: 'process',
  'page-table': 'process',
  'kernel-stack': 'process',
  pipe: 'process',
  vmalloc: 'unreferenced',
  socket: 'queued',
  network: 'queued',
  'page-pool': 'queued',
  ring: 'kernel',
  kernel: 'kernel',
  unreferenced: 'unreferenced',
  unknown: 'unknown',
};

/**
 * Caches whose objects are freed with a process, its files or its address space (kernel/fork.c, mm/mmap.c,
 * fs/file_table.c and others).
 */
const OF_PROCESSES =
  /^(task_struct|task_group|task_delay_info|taskstats|signal_cache|sighand_cache|sigqueue|files_cache|fs_cache|filp|names_cache|mm_struct|vm_area_struct|vma_lock|maple_node|anon_vma(_chain)?|pid(_\d+)?|cred(_jar)?|iocontext|uid_cache|nsproxy|pid_namespace|net_namespace|user_namespace|seq_file|posix_timers_cache|UNIX|TCP|TCPv6|UDP|UDPv6|RAW|RAWv6|PING|sock_inode_cache|eventpoll_(epi|pwq)|ep_head|io_kiocb|thread_stack|page->ptl|inotify_.*|fsnotify_.*|shmem_inode_cache|proc_inode_cache)$/;

/** Objects that carry packets (net/core/skbuff.c), and are in a queue. */
const OF_PACKETS = /^(skbuff_|skb_|sctp_chunk|request_sock_)/;

/** Sockets in TIME_WAIT: a timer frees each after 60 s (TCP_TIMEWAIT_LEN, net/ipv4/tcp_minisocks.c). */
const OF_TIMERS = /^tw_sock_/;

/** What keeps a block allocated, by its place. */
export function keeperOf({ place, category, cache }: Pick<Found, 'place' | 'category' | 'cache'>): Keeper {
  if (place !== 'slab') return KEEPERS[place];
  if (category === 'slab-reclaimable') return 'reclaimable';
  if (cache === null) return 'unknown';
  if (OF_PROCESSES.test(cache)) return 'process';
  if (OF_TIMERS.test(cache)) return 'kernel';
  return OF_PACKETS.test(cache) ? 'queued' : 'unreferenced';
}

const OF_CATEGORIES: Readonly<Partial<Record<CategoryName, Place>>> = {
  'free-buddy': 'free',
  'free-cpu-lists': 'free',
  'free-unaccepted': 'free',
  'free-uninitialized': 'free',
  'page-cache': 'page-cache',
  shared: 'shared',
  secret: 'shared',
  anonymous: 'anonymous',
  'swap-cache': 'anonymous',
  hugetlb: 'anonymous',
  'page-tables': 'page-table',
  'kernel-stacks': 'kernel-stack',
  pipes: 'pipe',
  'slab-reclaimable': 'slab',
  'slab-unreclaimable': 'slab',
  vmalloc: 'vmalloc',
  'network-sockets': 'socket',
  'network-other': 'network',
  rings: 'ring',
  // No structure references a large kmalloc.
  'large-kmalloc': 'unreferenced',
  unattributed: 'unreferenced',
};

/** The place of blocks in a category. */
export function placeOfCategory(category: CategoryName): Place {
  return OF_CATEGORIES[category] ?? (category === 'unread' ? 'unknown' : 'kernel');
}

/** A block whose place is unknown. */
export function unplaced(why: Unplaced): Found {
  return { place: 'unknown', category: null, cache: null, socket: null, why };
}

/** A block of which only the place, and possibly the category, is known. */
export function placed(place: Place, category: CategoryName | null = null): Found {
  return { place, category, cache: null, socket: null, why: null };
}
