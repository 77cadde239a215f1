import type { Pressure } from '../../records/machine-sample.js';
import type { ProcessIdentity, ProcessMemoryRecord } from '../../records/processes.js';

/**
 * Memory that a process has taken and that nothing but it (or those that share it) can give back, bytes:
 * anonymous and shared memory, what of both is swapped out too. Pages of files are not in it, which the kernel
 * takes back itself, nor page tables: a program that maps a file has more and more of them.
 */
export interface Held {
  readonly bytes: number;
  /** What of MemAvailable it takes: the same without swap, with page tables. */
  readonly taken: number;
  /**
   * `pss`: what several map is divided among them, so that all processes add up. `rss`: it counts for each; of
   * processes that may not be looked into, and before 5.4.
   */
  readonly by: 'pss' | 'rss';
}

/** One process at one time. */
export interface ProcessSample {
  readonly who: Pick<ProcessIdentity, 'pid' | 'comm' | 'nsPids' | 'cgroup'>;
  readonly held: Held | null;
  /** Ticks after the boot; null: not known. */
  readonly started: number | null;
  /** Seconds after the boot; null: as its machine's. */
  readonly readAt: number | null;
  readonly minorFaults: number | null;
  readonly majorFaults: number | null;
  /** Of its cgroup. */
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
