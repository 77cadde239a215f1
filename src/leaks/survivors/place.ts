import type { CensusEntry } from '../../account/census-entry.js';
import type { CategoryName } from '../../account/memory/categories.js';

/** Where a block is that was not freed, once it is looked up. */
export const PLACES = [
  /** Nobody's: it was freed meanwhile, or its free was missed. */
  'free',
  /** Freed meanwhile and taken again: what is there now is another block. */
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
  /** In a queue of a socket. */
  'socket',
  /** Elsewhere in the network: packets that wait, rings of drivers, caches of fragments. */
  'network',
  /** A driver's page pool has it, and no socket. */
  'page-pool',
  /** Rings of tracers, perf, io_uring, BPF, virtio. */
  'ring',
  /** The kernel has it for what `category` says. */
  'kernel',
  /** Nothing explains it. */
  'unreferenced',
  /** `why` says why not. */
  'unknown',
] as const;
export type Place = (typeof PLACES)[number];

/** Why it is not known where a block is. */
export const UNPLACED = [
  /** What was recorded is of another time or machine. */
  'from-file',
  /** Neither /proc/kcore nor /proc/kpageflags can be read. */
  'no-source',
  /** Flags of page frames alone are known, and they tell nothing of this one. */
  'flags-only',
  /** Its struct page cannot be read, or contradicts itself. */
  'unreadable',
  /** There is no such memory. */
  'no-such-frame',
] as const;
export type Unplaced = (typeof UNPLACED)[number];

/** What is known of where a block is. */
export interface Found {
  readonly place: Place;
  /** As `kdump-mem memory` has it; null: not known by that. */
  readonly category: CategoryName | null;
  /** Of a slab: its cache; hostile. Null: not known. */
  readonly cache: string | null;
  /** Of `socket`. */
  readonly socket: CensusEntry | null;
  /** Of `not-known`. */
  readonly why: Unplaced | null;
  /** Whether the allocator counts it as free could not be read: it is placed as if it were held. */
  readonly maybeFree?: true;
}

/** Whether whoever has a block gives it back, and to whom it is to be put. */
export type Keeper =
  /** It is not held any more. */
  | 'freed'
  /** The kernel takes it back where memory is short. */
  | 'reclaimable'
  /** Of a process, and ends with it. */
  | 'process'
  /** Waits until somebody reads it or takes it. */
  | 'queued'
  /** The kernel has it for something known. */
  | 'kernel'
  /** Nothing leads to it. */
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
 * Caches whose objects go with a process, its files or its address space (kernel/fork.c, mm/mmap.c, fs/file_table.c
 * and others).
 */
const OF_PROCESSES =
  /^(task_struct|task_group|task_delay_info|taskstats|signal_cache|sighand_cache|sigqueue|files_cache|fs_cache|filp|names_cache|mm_struct|vm_area_struct|vma_lock|maple_node|anon_vma(_chain)?|pid(_\d+)?|cred(_jar)?|iocontext|uid_cache|nsproxy|pid_namespace|net_namespace|user_namespace|seq_file|posix_timers_cache|UNIX|TCP|TCPv6|UDP|UDPv6|RAW|RAWv6|PING|sock_inode_cache|eventpoll_(epi|pwq)|ep_head|io_kiocb|thread_stack|page->ptl|inotify_.*|fsnotify_.*|shmem_inode_cache|proc_inode_cache)$/;

/** Objects that carry packets (net/core/skbuff.c): a queue has them. */
const OF_PACKETS = /^(skbuff_|skb_|sctp_chunk|request_sock_|tw_sock_)/;

/** Who is to give a block back. */
export function keeperOf({ place, category, cache }: Found): Keeper {
  if (place !== 'slab') return KEEPERS[place];
  if (category === 'slab-reclaimable') return 'reclaimable';
  if (cache === null) return 'unknown';
  if (OF_PROCESSES.test(cache)) return 'process';
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
  // Nothing leads to a large kmalloc.
  'large-kmalloc': 'unreferenced',
  unattributed: 'unreferenced',
};

/** The place of what lies in a category. */
export function placeOfCategory(category: CategoryName): Place {
  return OF_CATEGORIES[category] ?? (category === 'unread' ? 'unknown' : 'kernel');
}

/** What is not known. */
export function unplaced(why: Unplaced): Found {
  return { place: 'unknown', category: null, cache: null, socket: null, why };
}

/** Where that is all that is known. */
export function placed(place: Place, category: CategoryName | null = null): Found {
  return { place, category, cache: null, socket: null, why: null };
}
