/** What kinds of allocation are followed: pages of the buddy allocator, objects of slabs, areas of vmalloc. */
export type AllocationType = 'page' | 'slab' | 'vmalloc';

/** One place in code that allocates. */
export interface SiteFrame {
  /** As kallsyms has it; null where no symbol is known for the address. */
  readonly symbol: string | null;
  /** Bytes from the start of the function. */
  readonly offset: number | null;
  readonly module: string | null;
  /** File and line, where the source says those (allocation profiling). */
  readonly line: string | null;
}

/** Who allocates: a stack, or as much of one as the source remembers. */
export interface Site {
  readonly id: string;
  /** `caller`: one function. `line`: one line of source. */
  readonly kind: 'stack' | 'caller' | 'line';
  /** Innermost first. Functions of the allocator itself may be among them. */
  readonly frames: readonly SiteFrame[];
}

/** What a site holds at one moment, of what is followed. */
export interface Held {
  /** Outstanding, bytes. Scaled where only a sample is followed. */
  readonly bytes: number;
  /** Outstanding allocations. Scaled where only a sample is followed; null where the source does not count them. */
  readonly blocks: number | null;
  /** The true figure of `bytes` lies between them (95 %). Equal to `bytes` where nothing is sampled. */
  readonly low: number;
  readonly high: number;
  /** What was seen itself, not scaled; null where nothing is sampled. */
  readonly sampled: number | null;
}

/** All sites at one moment. A site that is missing holds nothing. */
export interface Reading {
  /** Since the recording began, milliseconds on a clock that does not jump. */
  readonly at: number;
  readonly held: ReadonlyMap<string, Held>;
  /**
   * Pages, where events are followed: bytes freed since the recording began that match no recorded allocation, by order,
   * less what unfollowed threads allocated. Missing: not known.
   */
  readonly unmatched?: ReadonlyMap<number, number>;
  /** Objects: bytes that each slab cache has in use, by its name. Missing: not known. */
  readonly caches?: ReadonlyMap<string, CacheUse>;
}

/** What a slab cache has in use, by /proc/slabinfo. */
export interface CacheUse {
  readonly bytes: number;
  /** Bytes by which that may be off: slabs of CPUs count as in use. */
  readonly slack: number;
}

/** One allocation that was not freed when the recording ended. */
export interface Survivor {
  readonly site: string;
  /**
   * Pages: number of the first frame. Objects: address in the kernel, whole (64 bits). Areas: address.
   */
  readonly place: bigint;
  /** Bytes still held; frames freed by parts are not among them. */
  readonly bytes: number;
  /** Of pages: as it was allocated. */
  readonly order: number | null;
  /** Milliseconds since the recording began; null where the source does not tell. */
  readonly since: number | null;
  /** Who allocated (a thread), as the source tells. */
  readonly tid: number | null;
  readonly command: string | null;
}

/** What of a sample of frames or objects is followed. */
export interface Sample {
  /** One frame (object) in so many is followed. 1: all. */
  readonly oneIn: number;
  /** Bits of the frame's number, or of the object's address, that decide; and what they must be. */
  readonly mask: bigint;
  readonly residue: bigint;
}

/** What a recording lost. None of these is ever counted as zero: null is not known. */
export interface Losses {
  /** Events that the kernel's buffers lost, since nobody read in time. */
  readonly overrun: number | null;
  /** Frees of what was never seen allocated: mostly older than the recording. */
  readonly unknownFrees: number | null;
  /** Allocations where something was still held: a free was missed. */
  readonly missedFrees: number | null;
  /** Allocations without a stack. */
  readonly withoutStack: number | null;
  /** What was no longer followed since memory of our own is bounded. */
  readonly dropped: number | null;
}

/** Pages that the kernel allocated and whose event did not fire (`alloc_pages_bulk` of some kernels). */
export interface Unseen {
  /** By /proc/vmstat (pgalloc_*), frames, while it was recorded. */
  readonly allocated: number;
  /** By events (scaled), frames. */
  readonly traced: number;
  readonly low: number;
  readonly high: number;
}

/** What it cost to follow events, as far as it can be told. */
export interface TraceCost {
  /** Share of one CPU: our own time, and the kernel's by what an event costs on this machine; null: not known. */
  readonly share: number | null;
  /** Share of one CPU that it was allowed; null: the sample was given. */
  readonly budget: number | null;
  /** Allocations and frees that were read. */
  readonly events: number;
  /** Of each second, those that a sample was taken of, estimated; null: not known. */
  readonly offeredPerSecond: number | null;
}

/** What else is to be told of a recording by events. */
export interface Tracing {
  readonly cost: TraceCost;
  /** Instances of earlier runs that had been killed: removed. Names. */
  readonly orphans: readonly string[];
  /** Our own instances that could not be removed, since somebody else has them open. Paths. */
  readonly left: readonly string[];
  /** Events that came after later ones had been told: frees among them may have been taken for missing. */
  readonly late: number;
  /** Settings of our instances that somebody else changed; it was ended then. Paths. */
  readonly changed: readonly string[];
  /**
   * By how many events what the kernel counts as read differs from what was read: somebody else read the buffers, or
   * emptied them. Null: it does not count.
   */
  readonly unmatched: number | null;
}

/** Why what a source says is not whole. */
export interface Gap {
  /**
   * `cut`: it ends too early, or says itself that it is not whole. `strange`: lines of no known form, or that contradict themselves. `unreadable`:
   * a part of it could not be read. `sites`: allocations of sites that found no room, added up as one.
   * `inaccurate`: the kernel says of sites that it did not count all of theirs. `order`: times of its events, or of
   * files, do not follow each other.
   */
  readonly code: 'truncated' | 'malformed' | 'unreadable' | 'sites' | 'inaccurate' | 'order';
  /** A file; hostile where somebody gave it. */
  readonly source: string;
  readonly count: number;
}

/** How a recording was made. */
export type MethodCode =
  | 'allocinfo'
  | 'page-owner'
  | 'page-owner-stacks'
  | 'slab-traces'
  | 'vmallocinfo'
  | 'tracefs'
  | 'bpftrace'
  | 'perf-script'
  | 'trace-text';

/**
 * What was recorded, whoever recorded it: at least two readings, the first at the beginning. Of methods that follow
 * events the first reading is empty: what was allocated before is not known.
 */
export interface Recording {
  readonly type: AllocationType;
  readonly method: MethodCode;
  readonly sample: Sample;
  readonly sites: ReadonlyMap<string, Site>;
  readonly readings: readonly Reading[];
  /** Held at the end, one by one, as far as the method knows them; at most as many as were asked for. */
  readonly survivors: readonly Survivor[];
  /** Of `survivors`: left out by that bound, or unknown to the method (null). */
  readonly survivorsLeftOut: number | null;
  readonly losses: Losses;
  readonly unseen: Unseen | null;
  /** Page frames that were freed, by /proc/vmstat, and no event told of; missing: not known. */
  readonly unseenFrees?: number;
  /** Missing: there are none. */
  readonly gaps?: readonly Gap[];
  /** Pairs of copies, each with the next, in which nothing tells that they are in order. Missing: there are none. */
  readonly unknownOrder?: number;
  /** It was ended before its time (Ctrl-C): what there is counts. */
  readonly endedEarly: boolean;
  /** Of recordings through tracefs. */
  readonly tracing?: Tracing;
}
