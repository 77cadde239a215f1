import { WalkError } from '../../base/errors.js';
import type { KernelFacts } from '../../kernel/kernel.js';
import type { CaptureOrigin, Origin, Pressure } from '../../records/machine-sample.js';
import type { ProcessIdentity, ProcessMemoryRecord, ZombieParent } from '../../records/processes.js';
import type { PssUnknown } from '../../records/pss.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import type { Warning } from '../../walk/warnings.js';

/** Names of the sizes, in the order of the output. */
export const SIZES = [
  /** Mapped pages, including those that other processes map; without hugetlb pages. */
  'rss',
  /** The same, with each page divided by its number of mappings. */
  'pss',
  /** Pages without another mapping. */
  'uss',
  'anonymous',
  'file',
  'shmem',
  'swap',
  'swapPss',
  'hugetlb',
  'pageTables',
  'locked',
  /** Pages that the kernel pinned for a device or io_uring: they can neither be reclaimed nor moved. */
  'pinned',
  /** Network memory pinned by its sockets, including shared parts. */
  'network',
  /**
   * Lower bound of the memory freed by a kill: USS, swap, page tables, and the exclusive memory of its
   * sockets. Null if one of the first three is unknown; the sockets' part counts if it is known.
   */
  'freed',
] as const;

/** Memory of a process, bytes; null: unknown. */
export type ProcessSizes = Readonly<Record<(typeof SIZES)[number], number | null>>;

/** Estimate of the memory pinned by sockets, bytes: low ≤ likely; null: no upper bound. */
export interface NetworkEstimate {
  readonly low: number;
  readonly likely: number;
  readonly atMost: number | null;
}

/** PSS by kind of page, bytes. */
export interface PssByKind {
  readonly anonymous: number;
  readonly shmem: number;
  readonly file: number;
}

/** A process, or several processes that share their memory. */
export interface ProcessFigures extends ProcessIdentity, ProcessSizes {
  /** Start time in ticks of USER_HZ since boot: with the pid, it identifies a process. */
  readonly started: number | null;
  /** Other processes with the same memory (CLONE_VM, vfork), which have no row of their own. */
  readonly sharedWith: readonly number[];
  /** Parts of `pss`; absent: unknown, or not reported by the kernel (smaps_rollup since 5.4). */
  readonly pssByKind?: PssByKind | undefined;
  /** Why `pss` is null; absent: unreadable. */
  readonly pssUnknown?: PssUnknown | undefined;
  /** Present if `network` is only an estimate within these bounds. */
  readonly networkEstimate?: NetworkEstimate | undefined;
  /** Whether all figures that this source has for a process were readable. */
  readonly complete: boolean;
}

/** Returns the memory that is freed when a process exits, excluding memory of its sockets. */
export function ownBytes(
  { uss, pageTables }: Pick<ProcessSizes, 'uss' | 'pageTables'>,
  swap: number | null,
): number | null {
  return uss === null || swap === null || pageTables === null ? null : uss + swap + pageTables;
}

/** Lower bound of the swap that no other process has: a shared entry counts at most half in its share. */
export function ownSwap({ swap, swapPss }: Pick<ProcessSizes, 'swap' | 'swapPss'>): number | null {
  return swap === null ? null : Math.max(2 * (swapPss ?? 0) - swap, 0);
}

/**
 * Returns the only selected process.
 *
 * @throws {WalkError} `no-such-pid` if there is none, or several
 */
export function onlyOne(
  processes: readonly ProcessFigures[],
  select: (process: ProcessFigures) => boolean,
): ProcessFigures {
  const [first, ...others] = processes.filter(select);
  if (!first) throw new WalkError('no-such-pid', 'no process matches --pid and --container');
  if (others.length > 0) {
    const pids = [first, ...others].map(({ pid }) => pid).join(', ');
    throw new WalkError(
      'no-such-pid',
      `--pid and --container match several processes (pid ${pids} on the host): give more of the container’s id`,
    );
  }
  return first;
}

/** The answer to `procs`: memory held by each process. */
export interface ProcsAnswer {
  /** Undefined for an answer from /proc, without kernel memory. */
  readonly kernel: KernelFacts | undefined;
  /** A captured host; undefined: this machine, or a dump. */
  readonly captured?: CaptureOrigin;
  /** Time and boot; undefined if they were not requested. */
  readonly origin?: Origin | undefined;
  readonly processes: readonly ProcessFigures[];
  readonly kernelThreads: number;
  /** They have exited, and have no memory. */
  readonly zombies: number;
  /** Their parents, those of most first; undefined: unknown. */
  readonly zombieParents?: readonly ZombieParent[] | undefined;
  /** Processes that exited during the scan. */
  readonly gone: number;
  /** Whether /proc hides an unknown number of other processes (hidepid). */
  readonly hidden?: boolean;
  /** Processes with a figure that is not readable. */
  readonly notShown: number;
  /** Mapped and unmapped pages, for a dump in which all processes are readable. */
  readonly pages?: MachinePages | undefined;
  readonly warnings: readonly Warning[];
  readonly complete: boolean;
}

/**
 * Memory that is freed only if this process (or processes that share it) releases it, bytes: anonymous and
 * shared memory, including swapped pages. File pages, which the kernel can reclaim, and page tables are
 * excluded.
 */
export interface Held {
  readonly bytes: number;
  /** Its part of MemAvailable: the same without swap, with page tables. */
  readonly taken: number;
  /**
   * `pss`: shared pages are divided among the processes that map them, so sums are exact. `rss`: shared pages
   * count in full for each process; used without permission for PSS, and before 5.4.
   */
  readonly by: 'pss' | 'rss';
}

/** Figures of one process in one sample. */
export interface ProcessSample {
  readonly who: Pick<ProcessIdentity, 'pid' | 'comm' | 'nsPids' | 'cgroup'>;
  readonly held: Held | null;
  /** Start time in ticks since boot; null: unknown. */
  readonly started: number | null;
  /** Time of the read in seconds since boot; null: the same as the machine's. */
  readonly readAt: number | null;
  readonly minorFaults: number | null;
  readonly majorFaults: number | null;
  /** Pressure of its cgroup. */
  readonly pressure: Pressure | null;
}

export function processSample(record: ProcessMemoryRecord, pressure: Pressure | null): ProcessSample {
  const { pid, comm, nsPids, cgroup, started, readAt, minorFaults, majorFaults } = record;
  return {
    who: { pid, comm, nsPids, cgroup },
    held: heldBy(record),
    started,
    readAt,
    minorFaults,
    majorFaults,
    pressure,
  };
}

function heldBy({ sums, status }: ProcessMemoryRecord): Held | null {
  const tables = status?.pageTables ?? null;
  return (
    held('pss', sums?.pssAnonymous, sums?.pssShmem, sums?.swapPss, tables) ??
    held('rss', status?.anonymous, status?.shmem, status?.swap, tables)
  );
}

function held(
  by: Held['by'],
  anonymous: number | null = null,
  shmem: number | null = null,
  swap: number | null = null,
  tables: number | null = null,
): Held | null {
  if (anonymous === null || shmem === null || swap === null || tables === null) return null;
  const inMemory = anonymous + shmem;
  return { bytes: inMemory + swap, taken: inMemory + tables, by };
}

/** Memory of one kind in bytes, each page counted once. */
export interface KindOfPages {
  /** Mapped by a process. */
  readonly mapped: number;
  readonly unmapped: number;
}

/**
 * Mapped and unmapped memory of the machine by kind: the PSS of all processes sums to the mapped part. Bytes.
 */
export interface MachinePages {
  readonly anonymous: KindOfPages;
  readonly swapCache: KindOfPages;
  readonly pageCache: KindOfPages;
  readonly shared: KindOfPages;
  /** Not included in PSS. */
  readonly hugetlb: KindOfPages;
  /** The kernel's own memory that processes map: code, clocks, rings. */
  readonly otherMapped: number;
}

/**
 * @param kinds kind of each frame
 * @param isMapped whether a process maps it
 */
export function machinePages(kinds: Uint8Array, isMapped: (index: number) => boolean, pageSize: number): MachinePages {
  const [mapped, all] = [new Float64Array(256), new Float64Array(256)];
  let other = 0;
  for (let index = 0; index < kinds.length; index++) {
    const kind = kinds[index]!;
    all[kind]!++;
    if (!isMapped(index)) continue;
    mapped[kind]!++;
    if (!LISTED_KINDS.has(kind)) other++;
  }
  const of = (kind: number): KindOfPages => ({
    mapped: mapped[kind]! * pageSize,
    unmapped: (all[kind]! - mapped[kind]!) * pageSize,
  });
  return {
    anonymous: of(KIND.anonymous),
    swapCache: of(KIND['swap-cache']),
    pageCache: of(KIND.file),
    shared: of(KIND.shmem),
    hugetlb: of(KIND.hugetlb),
    otherMapped: other * pageSize,
  };
}

const LISTED_KINDS: ReadonlySet<number> = new Set([
  KIND.anonymous,
  KIND['swap-cache'],
  KIND.file,
  KIND.shmem,
  KIND.hugetlb,
]);

export interface SwapEntry {
  readonly type: number;
  readonly offset: number;
}

/** Maximum number of swapped pages whose sharers are determined: 16 GiB. */
export const MOST_ENTRIES = 2 ** 22;

/** Offsets have 50 bits, of which a swap area of 2^47 bytes uses 35. */
export function swapKey({ type, offset }: SwapEntry): number {
  return type * 2 ** 47 + (offset % 2 ** 47);
}
