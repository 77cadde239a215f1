import type { Pressure } from './machine-sample.js';

/**
 * Memory of a cgroup as the kernel charges it, with that of its descendants. Bytes and counts; null: the kernel
 * does not report it (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst).
 */
export interface CgroupMemory {
  readonly current: number;
  /** Since the cgroup was created, or the counter reset. */
  readonly peak: number | null;
  /** The smallest memory.max or memory.limit_in_bytes of the cgroup and those above; null: none has a limit. */
  readonly limit: number | null;
  /** Whether all of these limits were read; otherwise a smaller one may exist. */
  readonly limitKnown: boolean;
  /** The cgroup that has this limit. */
  readonly limitOf: string | null;
  /** memory.high of the cgroup; null: none. */
  readonly high: number | null;
  readonly anonymous: number | null;
  /** Page cache, which includes `shmem`. */
  readonly file: number | null;
  readonly shmem: number | null;
  readonly kernel: number | null;
  readonly slab: number | null;
  readonly sock: number | null;
  /** Times that socket memory was throttled (memory.stat `sock_throttled`, recent kernels). */
  readonly sockThrottled: number | null;
  /** Page cache on the active and on the inactive list; the first is the working set of files. */
  readonly activeFile: number | null;
  readonly inactiveFile: number | null;
  /** Page cache on the file lists, and reclaimable slab. */
  readonly reclaimable: number | null;
  /** Times that usage reached memory.high and memory.max (version 1: failcnt), and kills by the OOM killer. */
  readonly highEvents: number | null;
  readonly maxEvents: number | null;
  readonly oomKills: number | null;
  readonly pressure: Pressure | null;
}
