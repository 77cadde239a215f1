import type { UnavailableCode } from '../../base/errors.js';
import type { MemoryJson, SlabCacheJson } from '../../contracts/memory.js';
import type { CategoryName } from '../../records/categories.js';
import type { MemoryCounters } from '../../records/machine-sample.js';
import type { NamedMemory } from '../../records/named-memory.js';
import type { Warning } from '../../walk/warnings.js';
import type { CensusEntry } from '../owners.js';
import type { CensusAnswer } from '../sockets.js';
import type { SharedFileFigures } from './files.js';
import type { SiteSource } from './sites.js';
import type { Category } from './tree.js';

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
export type ZoneFigures = MemoryJson['zones'][number];

/** Pipes of a program, and what they can hold. */
export type ProgramPipes = NonNullable<MemoryJson['pipes']>[number];

/** Estimated memory of socket queues, where page frames do not show it. */
export type SocketEstimate = NonNullable<MemoryJson['socketEstimate']>;

/** The answer to `memory`, and what only text and other answers need. */
export interface MemoryAnswer extends Omit<MemoryJson, 'memory' | 'named' | 'sites' | 'warnings'> {
  readonly memory: Category;
  readonly named: readonly NamedMemory[] | null;
  readonly sites: readonly SiteSource[] | null;
  readonly warnings: readonly Warning[];
  /** The capture has no processes. */
  readonly lacksProcesses?: boolean;
  /** Counters that the page flags of their category contradict. */
  readonly contradictions?: readonly Contradiction[];
  /** The largest files in shared memory of a dump or kernel. */
  readonly sharedFiles?: readonly SharedFileFigures[];
  /** The cgroup that files are restricted to; undefined: all. */
  readonly inCgroup?: string;
  /** Sockets, as `sockets` reports them; undefined: they could not be counted. */
  readonly census: CensusAnswer | undefined;
  /** Sockets whose queues have frames of the category `network-sockets`, largest first; they sum to it. */
  readonly queues: readonly QueueBytes[];
  /** Lines of /proc/meminfo, in bytes; computed for a dump (`BuffersCached` is the sum of both). */
  readonly counted?: ReadonlyMap<string, number>;
  /** Counters of a balloon and of ZFS, which rows of /proc rest on. */
  readonly otherCounters?: Pick<MemoryCounters, 'balloon' | 'zfs' | 'unreadCounters'> &
    Partial<Pick<MemoryCounters, 'compressed'>>;
}

type FoundMemory = Pick<MemoryAnswer, 'source' | 'memory' | 'warnings' | 'complete'> & Partial<MemoryAnswer>;

/** Makes an answer; what is not given is unknown, or was not requested. */
export function makeAnswer({ source, memory, complete, warnings, ...more }: FoundMemory): MemoryAnswer {
  return {
    schema: 'kdump-mem.memory/1',
    kernel: null,
    host: null,
    origin: null,
    source,
    captured: null,
    unavailable: [],
    memory,
    unattributed: null,
    unflagged: null,
    notes: [],
    freeConflict: null,
    driftBytes: 0,
    caches: [],
    callers: [],
    zones: [],
    files: null,
    pipes: null,
    named: null,
    notRead: [],
    socketEstimate: null,
    cachedFiles: null,
    figures: null,
    sample: null,
    noDetails: {},
    noDetailCodes: {},
    cgroups: null,
    sites: null,
    hugePages: null,
    complete,
    warnings,
    census: undefined,
    queues: [],
    ...more,
  };
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
