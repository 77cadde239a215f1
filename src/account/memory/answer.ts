import type { UnavailableCode } from '../../base/errors/unavailable.js';
import type { KernelFacts } from '../../kernel/kernel.js';
import type { CaptureOrigin } from '../../records/capture-origin.js';
import type { Origin } from '../../records/sample-origin.js';
import type { Zone } from '../../walk/memory/zones.js';
import type { Warning } from '../../walk/warnings.js';
import type { CensusEntry } from '../census-entry.js';
import type { CensusAnswer } from '../sockets.js';
import type { CategoryName } from './categories.js';
import type { Category, Owner } from './category.js';
import type { CgroupsAnswer } from './cgroups.js';
import type { MemorySample } from './changes.js';
import type { FormattedFigures } from './figure-format.js';
import type { FilesAnswer } from './files.js';
import type { FrameNote } from './frame-note.js';
import type { FreeConflict } from './free-conflict.js';

/** Blocks of one size that nothing explains. */
export interface LooseSize {
  /** log2 of the base pages; of a block that is none, the next larger. */
  readonly order: number;
  readonly blocks: number;
  readonly frames: number;
}

/** What nothing explains, described. */
export interface Loose {
  readonly sizes: readonly LooseSize[];
  /** Frames by zone, such as `Normal` or, of several NUMA nodes, `0 Normal`. */
  readonly zones: readonly { readonly zone: string; readonly frames: number }[];
  /** Frames that are charged to some cgroup. */
  readonly charged: number;
  /** Large kmallocs that the kernel counts and whose pages do not say it; undefined: they do. */
  readonly largeKmallocs?: number;
}

/** A slab cache. */
export interface CacheFigures {
  /** As /proc/slabinfo has it; hostile. */
  readonly name: string;
  /** Null: nothing tells. */
  readonly reclaimable: boolean | null;
  readonly bytes: number;
  readonly slabs: number;
  /** Slots of its slabs, and those given out, those that CPUs keep ready among them. */
  readonly slots: number;
  readonly used: number;
  /** Bytes of an object, and of the slot that it lies in; null: they could not be read. */
  readonly objectSize: number | null;
  readonly slotSize: number | null;
}

/** What a socket's queues have of a category; what several share counts for the first that was found. */
export interface QueueBytes {
  readonly entry: CensusEntry;
  readonly bytes: number;
}

/** What no flag of a page frame tells of, where frames are known by flags alone. */
export interface UnflaggedFrames {
  readonly frames: number;
  /** Compound pages by order; single pages have order 0, and so have parts of blocks that are none. */
  readonly sizes: readonly LooseSize[];
  readonly zones: Loose['zones'];
  /** Frames that are charged to some cgroup; null: nothing tells. */
  readonly charged: number | null;
  /** Frames that are mapped into some address space. */
  readonly mapped: number;
  /** Counters of what is among them and is not taken off, since it cannot be told how much of it. */
  readonly counters: readonly { readonly name: string; readonly bytes: number }[];
}

/**
 * How deep an answer looks: page frames of a dump, of the running kernel through its memory, the same by
 * their flags in /proc, or counters alone.
 */
export type MemorySource = 'vmcore' | 'kcore' | 'pageflags' | 'counters';

/** A source that tells more. */
export interface Unavailable {
  readonly source: MemorySource;
  readonly code: UnavailableCode;
  readonly why: string;
}

/** A zone, as /proc/zoneinfo and the free lists count it. */
export type ZoneFigures = Omit<Zone, 'address' | 'node'>;

/** The parts of an answer that `memory` tells in more detail, and why one is not there. */
export type NoDetails = Partial<Record<'caches' | 'callers' | 'zones', string>>;
export type NoDetailCodes = Partial<Record<keyof NoDetails, UnavailableCode>>;

/** The answer to `memory`. */
export interface MemoryAnswer {
  /** Undefined where only counters were read: then `host` tells of it. */
  readonly kernel: KernelFacts | undefined;
  readonly host?: { readonly release: string; readonly pageSize: number };
  readonly source: MemorySource;
  /** When, and of which boot; undefined: nobody asked. */
  readonly origin?: Origin;
  /** Of a host that was captured: its name, hostile, and when. Undefined: it is this machine, or a dump. */
  readonly captured?: CaptureOrigin;
  /** Of a running kernel: sources that tell more, and why they could not be had. */
  readonly unavailable?: readonly Unavailable[];
  readonly memory: Category;
  /** Two facts that contradict each other on how much memory is free; undefined: they agree. */
  readonly freeConflict?: FreeConflict;
  readonly loose: Loose | undefined;
  readonly unflagged?: UnflaggedFrames;
  /** Notes on frames, which have categories all the same. */
  readonly notes?: readonly FrameNote[];
  /**
   * Of a running kernel: by how much its counters changed while it was read, in bytes; each change counts
   * where it came from and where it went. 0 of a dump.
   */
  readonly drift: number;
  /** What takes most first. */
  readonly caches: readonly CacheFigures[];
  /** Memory of vmalloc's address space by who asked for it, what takes most first. */
  readonly callers: readonly (Owner & { readonly category: CategoryName })[];
  /** Whose the page cache and shared memory are; undefined: it was not asked, or cannot be told. */
  readonly files?: FilesAnswer | undefined;
  readonly zones: readonly ZoneFigures[];
  /** Of caches, callers and zones that are not there: why. */
  readonly noDetails?: NoDetails;
  readonly noDetailCodes?: NoDetailCodes;
  /** Whom memory is charged to; undefined as that. */
  readonly cgroups?: CgroupsAnswer | undefined;
  /** The sockets, as `sockets` tells them; undefined: they could not be counted. */
  readonly census: CensusAnswer | undefined;
  /** Sockets whose queues have frames of the category `network-sockets`, the most first; they add up to it. */
  readonly queues: readonly QueueBytes[];
  /** Lines of /proc/meminfo, in bytes; of a dump what they would be (`BuffersCached` is both). */
  readonly counted?: ReadonlyMap<string, number>;
  /** How figures that people know come from categories; undefined: it was not asked. */
  readonly figures?: FormattedFigures;
  /** Which of several looks it is, and what changed; undefined: it is the only one. */
  readonly sample?: MemorySample;
  readonly warnings: readonly Warning[];
  readonly complete: boolean;
}
