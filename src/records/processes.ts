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

/** Names of the sizes of a process, in the order of the output. */
export const PROCESS_SIZES = [
  /** Mapped pages, including those that other processes map; without hugetlb pages. */
  'rssBytes',
  /** The same, with each page divided by its number of mappings. */
  'pssBytes',
  /** Pages that have no other mapping. */
  'ussBytes',
  'anonBytes',
  'fileBytes',
  'shmemBytes',
  'swapBytes',
  'swapPssBytes',
  /** Huge pages of hugetlb, which the figures above do not include. */
  'hugetlbBytes',
  'pageTableBytes',
  'lockedBytes',
  /**
   * Pages that the kernel pinned for io_uring, RDMA, vdpa or VFIO (VmPin; VmLck if no mapping is mlocked): they can
   * neither be reclaimed nor moved. Null: not available from this source.
   */
  'pinnedBytes',
  /** Network memory that its sockets pin, including shared parts. Null: not available from this source. */
  'networkPinnedBytes',
  /**
   * Lower bound of the memory freed by a kill: USS, swap, page tables, and the exclusive memory of its sockets. Null if
   * one of the first three is unknown; the sockets’ part counts if it is known.
   */
  'freedIfKilledBytes',
] as const;
export type ProcessSize = (typeof PROCESS_SIZES)[number];

/** VmPin and VmLck: iommufd adds the pages of a container of VFIO to both (do_update_pinned, drivers/iommu/iommufd/pages.c). */
export const pinnedOrLocked = (pinned: number, locked: number): number =>
  pinned === locked ? pinned : pinned + locked;

/** A process and its memory according to /proc, in bytes. */
export interface ProcessMemoryRecord extends ProcessIdentity {
  /** VmRSS and its parts, which every user can read in /proc/PID/status. */
  readonly status: StatusSizes | null;
  /** Null: permission denied, `isLarge`, `blocked`, or `unread`. */
  readonly sums: SmapsSums | null;
  /** Whether its smaps was not read because it is large. */
  readonly isLarge?: boolean;
  /** Whether its smaps could not be read because its mmap_lock was held. */
  readonly blocked?: boolean;
  /** Why smaps was not read, unless permission was denied or it is `blocked`. */
  readonly unread?: string;
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
  /** VmPin (mm->pinned_vm, since 3.2). */
  readonly pinned: number | null;
  readonly hugetlb: number | null;
}

/** Effective user and capabilities, such as `sys_ptrace`, of the process that read /proc. */
export interface ReaderRights {
  readonly root: boolean;
  readonly capabilities: readonly string[];
}

/** A process that has not waited for children that exited. */
export interface ZombieParent {
  readonly pid: number;
  readonly zombies: number;
}

/** All processes of a host that have memory of their own. */
export interface ProcessRecords {
  readonly processes: readonly ProcessMemoryRecord[];
  readonly kernelThreads: number;
  /** They have exited, and their parents have not waited for them. */
  readonly zombies: number;
  /** Processes that have not waited for their children; absent: unknown. */
  readonly zombieParents?: readonly ZombieParent[];
  /** They exited during the scan. */
  readonly gone: number;
  /** Whether /proc hides an unknown number of processes of other users (hidepid). */
  readonly hidden: boolean;
  /** Absent: unknown, for example in a capture. */
  readonly reader?: ReaderRights | undefined;
}

/** Numbers of the relevant capabilities (include/uapi/linux/capability.h). */
const BITS = {
  dac_override: 1n,
  dac_read_search: 2n,
  net_admin: 12n,
  sys_rawio: 17n,
  sys_ptrace: 19n,
  sys_admin: 21n,
  syslog: 34n,
} as const;

type Right = keyof typeof BITS;

/** Capabilities without which some data is not visible. */
const RIGHTS: readonly Right[] = ['sys_ptrace', 'dac_read_search', 'sys_admin', 'net_admin', 'sys_rawio', 'syslog'];

/** Names of the relevant effective capabilities in /proc/PID/status (CapEff). */
export function capabilitiesOf(status: string): string[] {
  const digits = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1] ?? '0';
  const held = BigInt(`0x${digits}`);
  return Object.entries(BITS).flatMap(([name, bit]) => ((held >> bit) & 1n ? [name] : []));
}

/** Missing capabilities that hide something: `CAP_SYS_PTRACE`, … */
export function lackingRights(status: string): string[] {
  const held = capabilitiesOf(status);
  return RIGHTS.filter(
    (right) => !held.includes(right) && !(right === 'dac_read_search' && held.includes('dac_override')),
  ).map((right) => `CAP_${right.toUpperCase()}`);
}

/** Whether all of them are missing. */
export const lacksAll = (lacking: readonly string[]) => lacking.length === RIGHTS.length;

/** CAP_FOWNER (include/uapi/linux/capability.h). */
const FOWNER = 3n;

/** Whether mincore(2) may report other users' files: without CAP_FOWNER it calls all of their pages resident. */
export function mayOwnFiles(status: string): boolean {
  const digits = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1] ?? '0';
  return ((BigInt(`0x${digits}`) >> FOWNER) & 1n) === 1n;
}

/**
 * Returns the user and capabilities of a process from its /proc/PID/status; undefined if the text lacks them.
 */
export function rightsOf(status: string): ReaderRights | undefined {
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1];
  if (uid === undefined || !/^CapEff:/m.test(status)) return undefined;
  return { root: uid === '0', capabilities: capabilitiesOf(status) };
}

/**
 * Explains why the kernel denies what this capability permits, and what helps. Root is never advised to use
 * root.
 */
export function refusalWords(reader: ReaderRights | undefined, right: Right): string {
  const name = `CAP_${right.toUpperCase()}`;
  if (reader === undefined) return `requires ${name}`;
  if (reader.capabilities.includes(right))
    return `permission denied, also to ${name} (the process is in another user namespace, or a security module protects it)`;
  if (reader.root) return `root lacks ${name} here, as in a container`;
  return `requires root, or ${name}`;
}
