import type { UnavailableCode } from '../../base/errors.js';
import type { Captured, Origin } from '../../contracts/common.js';
import type { HugePages, MemoryJson, SlabCacheJson } from '../../contracts/memory.js';
import type { KernelFacts } from '../../kernel/kernel.js';
import type { CategoryName } from '../../records/categories.js';
import type { CachedFiles } from '../../records/files.js';
import type { MemoryCounters } from '../../records/machine-sample.js';
import type { NamedMemory, NotRead } from '../../records/named-memory.js';
import type { Zone } from '../../walk/memory/zones.js';
import type { Warning } from '../../walk/warnings.js';
import type { CensusEntry } from '../owners.js';
import type { CensusAnswer } from '../sockets.js';
import type { CgroupsAnswer } from './cgroups.js';
import type { FilesAnswer, SharedFileFigures } from './files.js';
import type { FreeConflict } from './proc-counters.js';
import type { SiteSource } from './sites.js';
import type { Category, MemorySample, Owner } from './tree.js';

/** A category that page flags and the kernel's counter measure differently; without a category, why they may. */
export interface Contradiction {
  readonly category: CategoryName | undefined;
  readonly message: string;
  readonly foundBytes?: number;
  /** At the time of the scan that is closest to what was found. */
  readonly countedBytes?: number;
}

/** Unattributed blocks of one size. */
export type LooseSize = NonNullable<MemoryJson['unflagged']>['sizes'][number];

/** Details of unattributed memory. */
export type Loose = NonNullable<MemoryJson['unattributed']>;

/** A slab cache. */
export type CacheFigures = SlabCacheJson;

/** Pages of a category in the queues of a socket; shared pages count for the first socket found. */
export interface QueueBytes {
  readonly entry: CensusEntry;
  readonly bytes: number;
}

/** Frames without a distinctive flag, if frames are known by flags only. */
export type UnflaggedFrames = NonNullable<MemoryJson['unflagged']>;

/**
 * Source of an answer: page frames of a dump, page frames of the running kernel, page flags in /proc, or only
 * counters.
 */
export type MemorySource = 'vmcore' | 'kcore' | 'pageflags' | 'counters';

/** A more detailed source that is not available. */
export interface Unavailable {
  readonly source: MemorySource;
  readonly code: UnavailableCode;
  readonly why: string;
}

/** A zone, as counted by /proc/zoneinfo and the free lists. */
export type ZoneFigures = Omit<Zone, 'address' | 'node'>;

/** Details that `memory` can show, and why one is not available. */
export type NoDetails = Partial<Record<'caches' | 'callers' | 'zones', string>>;
export type NoDetailCodes = Partial<Record<keyof NoDetails, UnavailableCode>>;

/** Pipes of a program, and what they can hold. */
export type ProgramPipes = NonNullable<MemoryJson['pipes']>[number];

/** Estimated memory of socket queues, where page frames do not show it. */
export type SocketEstimate = NonNullable<MemoryJson['socketEstimate']>;

/** The answer to `memory`. */
export interface MemoryAnswer {
  /** Undefined if only counters were read: `host` describes it then. */
  readonly kernel: KernelFacts | undefined;
  readonly host?: { readonly release: string; readonly pageSize: number; readonly hasPageSize?: false };
  readonly source: MemorySource;
  /** Time and boot; undefined: not requested. */
  readonly origin?: Origin;
  /** Name (untrusted) and time of a captured host. Undefined: this machine, or a dump. */
  readonly captured?: Captured;
  /** The capture has no processes. */
  readonly lacksProcesses?: boolean;
  /** More detailed sources of a running kernel, and why they are not available. */
  readonly unavailable?: readonly Unavailable[];
  readonly memory: Category;
  /** Two contradicting amounts of free memory; undefined: they agree. */
  readonly freeConflict?: FreeConflict;
  /** Counters that the page flags of their category contradict. */
  readonly contradictions?: readonly Contradiction[];
  readonly loose: Loose | undefined;
  readonly unflagged?: UnflaggedFrames;
  /** Notes on frames, in addition to their categories. */
  readonly notes?: readonly FrameNote[];
  /**
   * Change of the counters of a running kernel during the scan, in bytes; each change counts at its origin
   * and its destination. 0 for a dump.
   */
  readonly driftBytes: number;
  /** Largest first. */
  readonly caches: readonly CacheFigures[];
  /** vmalloc memory by caller, largest first. */
  readonly callers: readonly (Owner & { readonly category: CategoryName })[];
  /** Owners of page cache and shared memory; undefined: not requested, or unknown. */
  readonly files?: FilesAnswer | undefined;
  /** Files that processes have open or mapped, in place of `files` without kernel memory; undefined as above. */
  readonly cachedFiles?: CachedFiles;
  /** The largest files in shared memory of a dump or kernel. */
  readonly sharedFiles?: readonly SharedFileFigures[];
  /** The cgroup that files are restricted to; undefined: all. */
  readonly inCgroup?: string;
  readonly zones: readonly ZoneFigures[];
  /** Why caches, callers or zones are not available. */
  readonly noDetails?: NoDetails;
  readonly noDetailCodes?: NoDetailCodes;
  /** Memory by charged cgroup; undefined as above. */
  readonly cgroups?: CgroupsAnswer | undefined;
  /** Memory by allocation site; undefined: not requested. */
  readonly sites?: readonly SiteSource[];
  /** Content of huge pages; undefined: not requested, or unknown. */
  readonly hugePages?: HugePages;
  /** Sockets, as `sockets` reports them; undefined: they could not be counted. */
  readonly census: CensusAnswer | undefined;
  /** Sockets whose queues have frames of the category `network-sockets`, largest first; they sum to it. */
  readonly queues: readonly QueueBytes[];
  /** Lines of /proc/meminfo, in bytes; computed for a dump (`BuffersCached` is the sum of both). */
  readonly counted?: ReadonlyMap<string, number>;
  /** Counters of a balloon and of ZFS, which rows of /proc rest on. */
  readonly otherCounters?: Pick<MemoryCounters, 'balloon' | 'zfs' | 'unreadCounters'> &
    Partial<Pick<MemoryCounters, 'compressed'>>;
  /** Parts of categories that sources beside /proc/meminfo name; undefined: not a running or captured host. */
  readonly named?: readonly NamedMemory[];
  /** Sources of these that were not read, although the host uses them. */
  readonly notRead?: readonly NotRead[];
  /** Programs whose pipes can hold most of the memory in no counter; undefined: little is, or they are unknown. */
  readonly pipes?: readonly ProgramPipes[];
  /** Undefined: not requested, or page frames show them. */
  readonly socketEstimate?: SocketEstimate;
  /** How figures of other tools follow from categories; undefined: not requested. */
  readonly figures?: FormattedFigures;
  /** Number of this sample, and changes since earlier ones; undefined: the only sample. */
  readonly sample?: MemorySample;
  readonly warnings: readonly Warning[];
  readonly complete: boolean;
}

/** Returns the base page size of the kernel or host in bytes. */
export function pageSizeOf({ kernel, host }: Pick<MemoryAnswer, 'kernel' | 'host'>): number {
  const size = kernel?.pageSize ?? host?.pageSize;
  if (size === undefined) throw new TypeError('an answer of neither a kernel nor a host');
  return size;
}

/** Further properties of frames by flags. */
export type FrameNote = MemoryJson['notes'][number];

/** Format of figures: free(1) or /proc/meminfo. */
export type FigureFormat = 'free' | 'meminfo';

/** A figure of free(1) or /proc/meminfo, computed from categories. */
export type FigureLine = FormattedFigures['lines'][number];

export type FormattedFigures = NonNullable<MemoryJson['figures']>;
