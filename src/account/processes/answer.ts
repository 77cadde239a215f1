import type { KernelFacts } from '../../kernel/kernel.js';
import type { CaptureOrigin, Origin, Pressure } from '../../records/machine-sample.js';
import type { ProcessIdentity, ProcessMemoryRecord } from '../../records/processes.js';
import type { Warning } from '../../walk/warnings.js';
import type { MachinePages } from './machine-pages.js';
import type { ProcessFigures } from './process.js';

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

export function processSample(
  record: ProcessMemoryRecord,
  pressure: Pressure | null,
): ProcessSample {
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
