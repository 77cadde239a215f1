import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { PROCESS_SIZES, type ProcessSize } from '../records/processes.js';
import { PSS_UNKNOWN } from '../records/pss.js';
import { capturedSchema, count, kernelSchema, originSchema, warningSchema } from './common.js';

/**
 * `kdump-mem procs --json`, version 1. Sizes are bytes, null if unknown. Text (comm, cgroup paths) is copied
 * from the kernel and JSON-escaped.
 */

const bytes = count.nullable();
const number = z.int().nullable();

const sizes = Object.fromEntries(PROCESS_SIZES.map((size) => [size, bytes])) as Record<ProcessSize, typeof bytes>;

/** A process, as an element of `processes` and in `kdump-mem.process/1`. */
export const processShape = {
  pid: count,
  comm: z.string(),
  uid: number,
  /** Its pid in each pid namespace, starting with the initial one; empty: not available. */
  nsPids: z.array(z.int()),
  cgroup: z.string().nullable(),
  pod: z.string().nullable(),
  container: z.string().nullable(),
  ...sizes,
  /**
   * With `--huge`: base pages of zeros in its transparent huge pages, of those that no other process maps; null: a part of them
   * is not readable.
   */
  zeroHugeBytes: bytes.optional(),
  /** Why pssBytes and ussBytes are null; null: they are known. */
  pssUnknown: z.enum(PSS_UNKNOWN).nullable(),
  /** Parts of pssBytes by kind of page; null: unknown. */
  pssByKind: z.strictObject({ anonBytes: count, shmemBytes: count, fileBytes: count }).nullable(),
  /**
   * Bounds if networkPinnedBytes is the likely value of an estimate (--live --sockets); null: it was counted,
   * or is unknown. mostBytes null: no upper bound.
   */
  networkEstimate: z.strictObject({ leastBytes: z.int(), likelyBytes: z.int(), mostBytes: number }).nullable(),
  threads: number,
  oomScore: number,
  oomScoreAdj: number,
  ageSeconds: number,
  /** Start time in ticks (100 per second) since boot; with the pid it identifies the process. */
  startTicks: bytes,
  /** Processes that share this memory and have no entries of their own. */
  sharedWith: z.array(z.int()),
  complete: z.boolean(),
};

const process = z.strictObject(processShape);

/** Averages of PSI over seconds, percent of the time. */
const stalls = z.strictObject({ avg10: z.number(), avg60: z.number(), avg300: z.number() });

/** Memory that the kernel charges to a cgroup and those below it. Null: the kernel does not report it. */
const cgroupMemory = z.strictObject({
  currentBytes: count,
  peakBytes: bytes,
  /** The smallest limit of the cgroup and those above it, and the cgroup that has it; null: no limit. */
  limitBytes: bytes,
  limitCgroup: z.string().nullable(),
  /** Whether all of these limits were read; false: a smaller one may exist. */
  limitKnown: z.boolean(),
  highBytes: bytes,
  anonBytes: bytes,
  /** Includes shmemBytes. */
  fileBytes: bytes,
  shmemBytes: bytes,
  kernelBytes: bytes,
  slabBytes: bytes,
  sockBytes: bytes,
  /** Times that its sockets were throttled for memory; null: a kernel that does not count it. */
  sockThrottled: bytes,
  /** Page cache on the active list, the working set of files, and on the inactive list. */
  activeFileBytes: bytes,
  inactiveFileBytes: bytes,
  /** Page cache on the file lists, and reclaimable slab. */
  reclaimableBytes: bytes,
  highEvents: bytes,
  maxEvents: bytes,
  oomKills: bytes,
  /** memory.pressure: time in which all tasks, or some, waited for memory. */
  pressureFull: stalls.nullable(),
  pressureSome: stalls.nullable(),
});

const group = z.strictObject({
  key: z.string().nullable(),
  processes: count,
  ...sizes,
  /** Processes that are not in pssBytes and ussBytes, because theirs are unknown, and the sum of their RSS. */
  withoutPss: z.strictObject({ processes: count, rssBytes: count }),
  /** Sizes that at least one of the processes lacks: their sums are lower bounds. Absent: an answer of an older version. */
  partialSizes: z.array(z.string()).optional(),
  /**
   * Upper bound of the memory freed if the complete group is killed. It includes memory shared only within
   * the group; freedIfKilledBytes is the lower bound. Live, neither includes sockets. Null: no upper bound.
   */
  freedIfKilledMostBytes: bytes,
  /** Whether networkPinnedBytes is a sum of estimates. */
  networkEstimated: z.boolean(),
  complete: z.boolean(),
  /** With `--by cgroup` on a machine or in a snapshot; null: not readable there. */
  cgroup: cgroupMemory.nullable().optional(),
});

const kindOfPages = z.strictObject({ mappedBytes: count, unmappedBytes: count });

const machinePages = z.strictObject({
  anonymous: kindOfPages,
  swapCache: kindOfPages,
  pageCache: kindOfPages,
  shared: kindOfPages,
  hugetlb: kindOfPages,
  otherMappedBytes: count,
});

export const procsSchema = z.strictObject({
  schema: z.literal('kdump-mem.procs/1'),
  kernel: kernelSchema.nullable(),
  source: z.enum(['vmcore', 'kcore', 'proc']),
  captured: capturedSchema,
  origin: originSchema,
  /**
   * MemTotal and MemAvailable; null: not readable. In a dump all page frames, and of them free memory and the upper
   * bound of what the kernel can reclaim; absent if its figures contradict each other.
   */
  machine: z
    .strictObject({
      totalBytes: count.nullable(),
      availableBytes: count.nullable(),
      freeBytes: count.optional(),
      reclaimableBytes: count.optional(),
      /**
       * Without --sockets: what the kernel charges to TCP and UDP sockets of the machine, also to those of processes that
       * are not listed. Sockets can pin more. Absent: not available.
       */
      chargedSocketBytes: count.optional(),
    })
    .optional(),
  /** Whether all processes with memory are listed: none was omitted (`--container`), and /proc hides none. */
  allListed: z.boolean(),
  /** Ordered by memory freed if killed (with sockets, also if they are an estimate), largest first, or by --sort. */
  processes: z.array(process),
  total: group.omit({ key: true, freedIfKilledMostBytes: true, cgroup: true }),
  groups: z.array(group).optional(),
  kernelThreads: count,
  zombies: count,
  /** Processes that have not waited for their zombies, those with most first; null: not available from this source. */
  zombieParents: z.array(z.strictObject({ pid: count, comm: z.string().nullable(), zombies: z.int() })).nullable(),
  /** Processes that exited during the scan. */
  exited: count,
  /** Number of processes with a figure that could not be read. */
  omitted: count,
  /**
   * Memory of the machine that processes map (the sum of PSS of all processes, without hugetlb) and that no
   * process maps; each page counts once. Null: live, or not all processes could be read.
   */
  pages: machinePages.nullable(),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type ProcsAnswer = Immutable<z.output<typeof procsSchema>>;
/** A process, or several processes that share their memory. */
export type ProcessFigures = ProcsAnswer['processes'][number];
/** Memory of a process, bytes; null: unknown. */
export type ProcessSizes = Pick<ProcessFigures, ProcessSize>;
export type PssByKind = NonNullable<ProcessFigures['pssByKind']>;
/** Estimate of the memory pinned by sockets. */
export type NetworkEstimate = NonNullable<ProcessFigures['networkEstimate']>;
/** Processes with a common property, `key`: untrusted, and null for none or an unknown one. */
export type ProcessGroup = NonNullable<ProcsAnswer['groups']>[number];
export type ProcessTotal = ProcsAnswer['total'];
/** Memory of a cgroup. */
export type CgroupFigures = NonNullable<ProcessGroup['cgroup']>;
export type MachinePages = NonNullable<ProcsAnswer['pages']>;
/** Memory of one kind, each page counted once. */
export type KindOfPages = MachinePages['anonymous'];
