/** Causes that make an answer of `kdump-mem leaks` doubtful or incomplete. */
export const LEAK_NOTE_CODES = [
  /**
   * The kernel's trace buffers lost events: some blocks are missing, and some freed blocks still count as
   * held.
   */
  'overrun',
  /** It is unknown whether events were lost. */
  'overrun-unknown',
  /** Blocks were allocated in memory that still counted as held. */
  'missed-frees',
  /** Blocks were free at the lookup. */
  'found-free',
  /** Frees without a recorded allocation. */
  'unknown-frees',
  'without-stack',
  /** Blocks were no longer followed because our own memory is limited. */
  'dropped',
  /** Pages that the kernel allocated without an event. */
  'unseen',
  /** Pages that the kernel freed without an event: some listed pages may be free. */
  'unseen-frees',
  /** The number of allocations without an event is unknown. */
  'unseen-unknown',
  /** Bulk allocations of objects fire no event, and neither do some frees. */
  'unseen-objects',
  /** The current use of the blocks was not looked up. */
  'not-looked-up',
  /** The method reports only totals: no block can be looked up. */
  'no-blocks',
  /** The kernel printed hashed addresses (kernel.kptr_restrict): no area can be looked up. */
  'no-addresses',
  /** The use of blocks is known only from page flags. */
  'flags-only',
  /** Not all blocks were looked up. */
  'left-out',
  /** The lookup has warnings. */
  'lookup',
  /** Objects that may be free: the freelists of their slabs could not be read. They count as held. */
  'maybe-free',
  /** Leaking memory is in a cache that the kernel fills up to a limit, and empties over time. */
  'limited-cache',
  'ended-early',
  'too-few-windows',
  /** Only allocations of some threads are followed. */
  'filtered',
  /** Threads that exited before they could be matched with the filter. */
  'exited-threads',
  /** Events arrived after later ones were processed. */
  'late',
  /** Another program changed the settings of our trace instances: recording stopped then. */
  'settings-changed',
  /** Another program read or emptied our trace buffers. */
  'events-unmatched',
  /** Remains of a killed run were removed from the kernel. */
  'orphans',
  /** Some of our trace instances could not be removed. */
  'left-behind',
  /** The recording exceeded its CPU budget. */
  'over-budget',
  /** A kernel record or a file is incomplete. */
  'source-truncated',
  'source-malformed',
  'source-unreadable',
  'source-sites',
  'source-inaccurate',
  'source-order',
  /** A source lists the largest sites only. */
  'source-largest',
  /** The order of the copies is unknown. */
  'unknown-order',
] as const;
export type LeakNoteCode = (typeof LEAK_NOTE_CODES)[number];

/** Sources of the current use of blocks. */
export const LOOKUP_SOURCES = ['kcore', 'pageflags', 'none'] as const;
export type LookupSource = (typeof LOOKUP_SOURCES)[number];

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

/** Prospects of the memory that a site holds. */
export const LEAK_VERDICTS = ['leaking', 'growing', 'unknown', 'transient'] as const;
export type LeakVerdict = (typeof LEAK_VERDICTS)[number];

/** Reasons for verdicts. */
export const LEAK_REASONS = [
  /** leaking: steady growth, and nothing references the blocks. */
  'unreferenced',
  /** leaking: steady growth, in queues that are not read. */
  'queued',
  /** growing: the kernel reclaims it if memory is short. */
  'reclaimable',
  /** growing: it belongs to processes, and is freed when they exit. */
  'process-owned',
  /** growing: the kernel uses it for a known purpose. */
  'kernel-owned',
  /** growing: the location of the blocks is unknown. */
  'location-unknown',
  /** growing: it may stop, since growth was uneven, or since held blocks are not from all of the time. */
  'unsteady',
  /** transient: the first blocks have been freed meanwhile. */
  'turns-over',
  /** transient: growth slowed down, or there was none. */
  'slowing',
  /** transient: none of it is still held. */
  'freed',
  'too-few-windows',
  'sample-too-small',
  /**
   * unknown: the interval of its growth reaches from below zero to far above, or most of the growth came at
   * the end.
   */
  'inconclusive',
  /** unknown: it would be a leak, but frees of older memory of its order or cache keep pace. */
  'frees-keep-pace',
  /** unknown: it would be a leak, but it could not be read whether its objects are free. */
  'maybe-free',
] as const;
export type LeakReason = (typeof LEAK_REASONS)[number];
