import type { CgroupPlace } from './cgroup-place.js';

/** Ticks a second by which /proc/PID/stat counts: 100 on every Linux that Node runs on (include/asm-generic/param.h). */
export const USER_HZ = 100;

/**
 * What /proc/PID/smaps says of mappings, and smaps_rollup of all of them together (fs/proc/task_mmu.c): the
 * sums, bytes.
 */
export interface SmapsSums {
  readonly rss: number;
  readonly pss: number;
  /** Pages that no other mapping has: Private_Clean and Private_Dirty. */
  readonly uss: number;
  /** Null, here and below: this kernel does not tell. */
  readonly anonymous: number | null;
  /** Since 5.4, of smaps_rollup alone. */
  readonly pssAnonymous: number | null;
  readonly pssShmem: number | null;
  readonly swap: number | null;
  /** Since 4.3. */
  readonly swapPss: number | null;
  /** Private_Hugetlb and Shared_Hugetlb, which are in none of the figures before. */
  readonly hugetlb: number | null;
  readonly locked: number | null;
}

/** Which process it is, and what it is besides its memory; null: not shown. Text is hostile. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly comm: string;
  readonly uid: number | null;
  /** Its pid in each pid namespace, ours first; [] when not shown. */
  readonly nsPids: readonly number[];
  readonly cgroup: CgroupPlace | null;
  readonly threads: number | null;
  readonly ageSeconds: number | null;
  readonly oomScore: number | null;
  readonly oomScoreAdj: number | null;
}

/** What /proc tells of one process and its memory, bytes. */
export interface ProcessMemoryRecord extends ProcessIdentity {
  /** VmRSS and what it is made of, as /proc/PID/status shows it to everybody. */
  readonly status: StatusSizes | null;
  /** Null: it may not be looked at, or `blocked`. */
  readonly sums: SmapsSums | null;
  /** Its mmap_lock was held: a read of its smaps made no progress. */
  readonly blocked?: boolean;
  /** Other processes that share its memory (CLONE_VM) and have no record of their own. */
  readonly sharedWith?: readonly number[];
  /** When it began, in ticks of USER_HZ after the boot: no other process has its pid and this. */
  readonly started: number | null;
  /** When it was read, in seconds after the boot. */
  readonly readAt: number | null;
  /** Page faults since it began, of all its threads: those that found a page, and those that had to wait for one. */
  readonly minorFaults: number | null;
  readonly majorFaults: number | null;
}

/** The kernel keeps these counters for each CPU, and adds them now and then: they may be some pages off. */
export interface StatusSizes {
  readonly rss: number;
  readonly anonymous: number | null;
  readonly file: number | null;
  readonly shmem: number | null;
  readonly swap: number | null;
  readonly pageTables: number | null;
  readonly locked: number | null;
  readonly hugetlb: number | null;
}

/** The rights of the process that read /proc: its effective user and capabilities, such as `sys_ptrace`. */
export interface ReaderRights {
  readonly root: boolean;
  readonly capabilities: readonly string[];
}

/** All processes of a host that have memory. */
export interface ProcessRecords {
  readonly processes: readonly ProcessMemoryRecord[];
  readonly kernelThreads: number;
  /** They have ended, and wait for their parents to ask how. */
  readonly zombies: number;
  /** They ended while the others were read. */
  readonly gone: number;
  /** /proc hides processes of other users (hidepid): how many is not known. */
  readonly hidden: boolean;
  /** Absent: unknown, as of a capture. */
  readonly reader?: ReaderRights | undefined;
}
