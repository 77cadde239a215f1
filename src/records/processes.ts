import type { CgroupPlace } from './cgroups.js';

/** Ticks per second in /proc/PID/stat: 100 on every Linux that Node runs on (include/asm-generic/param.h). */
export const USER_HZ = 100;

/** Sums of /proc/PID/smaps by mapping, and of smaps_rollup for all (fs/proc/task_mmu.c), in bytes. */
export interface SmapsSums {
  readonly rss: number;
  readonly pss: number;
  /** Pages with no other mapping: Private_Clean and Private_Dirty. */
  readonly uss: number;
  /** Null, here and below: this kernel does not report it. */
  readonly anonymous: number | null;
  /** Since 5.4, smaps_rollup only. */
  readonly pssAnonymous: number | null;
  readonly pssShmem: number | null;
  readonly swap: number | null;
  /** Since 4.3. */
  readonly swapPss: number | null;
  /** Private_Hugetlb and Shared_Hugetlb, which are not included in the figures above. */
  readonly hugetlb: number | null;
  readonly locked: number | null;
}

/** Identity and properties of a process beside its memory; null: not readable. Text is untrusted. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly comm: string;
  readonly uid: number | null;
  /** Pid in each pid namespace, starting with that of the reader; [] if not available. */
  readonly nsPids: readonly number[];
  readonly cgroup: CgroupPlace | null;
  readonly threads: number | null;
  readonly ageSeconds: number | null;
  readonly oomScore: number | null;
  readonly oomScoreAdj: number | null;
}

/** A process and its memory according to /proc, in bytes. */
export interface ProcessMemoryRecord extends ProcessIdentity {
  /** VmRSS and its parts, which every user can read in /proc/PID/status. */
  readonly status: StatusSizes | null;
  /** Null: permission denied, or `blocked`. */
  readonly sums: SmapsSums | null;
  /** Whether its smaps could not be read because its mmap_lock was held. */
  readonly blocked?: boolean;
  /** Other processes that share its memory (CLONE_VM), which have no record of their own. */
  readonly sharedWith?: readonly number[];
  /** Start time in ticks of USER_HZ since boot: with the pid, it identifies a process. */
  readonly started: number | null;
  /** Time of the read, in seconds since boot. */
  readonly readAt: number | null;
  /**
   * Page faults of all its threads since the start: minor ones that found the page, and major ones that had
   * to wait for it.
   */
  readonly minorFaults: number | null;
  readonly majorFaults: number | null;
}

/** Counters that the kernel keeps per CPU and adds up from time to time: they may be off by several pages. */
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

/** Effective user and capabilities, such as `sys_ptrace`, of the process that read /proc. */
export interface ReaderRights {
  readonly root: boolean;
  readonly capabilities: readonly string[];
}

/** All processes of a host that have memory of their own. */
export interface ProcessRecords {
  readonly processes: readonly ProcessMemoryRecord[];
  readonly kernelThreads: number;
  /** They have exited, and their parents have not waited for them. */
  readonly zombies: number;
  /** They exited during the scan. */
  readonly gone: number;
  /** Whether /proc hides an unknown number of processes of other users (hidepid). */
  readonly hidden: boolean;
  /** Absent: unknown, for example in a capture. */
  readonly reader?: ReaderRights | undefined;
}
