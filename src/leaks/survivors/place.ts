import type { CategoryName } from '../../account/memory/categories.js';
import type { CensusEntry } from '../../account/owners.js';

/** Current use of a block without a recorded free. */
export const PLACES = [
  /** Free: it was freed meanwhile, or its free was missed. */
  'free',
  /** Freed and allocated again: the frame belongs to another block now. */
  'reused',
  'page-cache',
  /** tmpfs, shared memory. */
  'shared',
  'anonymous',
  'page-table',
  'kernel-stack',
  'pipe',
  'slab',
  'vmalloc',
  /** In a socket queue. */
  'socket',
  /** Elsewhere in the network stack: queued packets, rings of drivers, fragment caches. */
  'network',
  /** Held by a driver's page pool, not by a socket. */
  'page-pool',
  /** Ring buffers of tracers, perf, io_uring, BPF, virtio. */
  'ring',
  /** Used by the kernel for the purpose in `category`. */
  'kernel',
  /** No kernel structure references it. */
  'unreferenced',
  /** Unknown, for the reason in `why`. */
  'unknown',
] as const;
export type Place = (typeof PLACES)[number];

/** Why the place of a block is unknown. */
export const UNPLACED = [
  /** The recording is of another time or machine. */
  'from-file',
  /** Neither /proc/kcore nor /proc/kpageflags can be read. */
  'no-source',
  /** Only page flags are known, and this frame has none that identify its use. */
  'flags-only',
  /** Its struct page cannot be read, or contradicts itself. */
  'unreadable',
  /** The frame does not exist. */
  'no-such-frame',
] as const;
export type Unplaced = (typeof UNPLACED)[number];

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
export function keeperOf({ place, category, cache }: Found): Keeper {
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
