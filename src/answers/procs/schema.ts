import { z } from 'zod';
import { capturedSchema } from '../captured-schema.js';
import { originSchema } from '../origin-schema.js';
import { kernelSchema, warningSchema } from '../schema.js';

/**
 * `kdump-mem procs --json`, version 1. Sizes are bytes, null where they cannot be told. Text (comm, paths of
 * cgroups) is as the kernel has it: JSON escapes it.
 */

const bytes = z.int().nonnegative().nullable();
const number = z.int().nullable();

const sizes = {
  rssBytes: bytes,
  pssBytes: bytes,
  /** Pages that have no other mapping. */
  ussBytes: bytes,
  anonBytes: bytes,
  fileBytes: bytes,
  shmemBytes: bytes,
  swapBytes: bytes,
  swapPssBytes: bytes,
  /** Huge pages of hugetlb, which are in none of the figures before. */
  hugetlbBytes: bytes,
  pageTableBytes: bytes,
  lockedBytes: bytes,
  /** Memory of the network that its sockets pin. Null: not told by this source. */
  networkPinnedBytes: bytes,
  /** USS, swap, page tables, and what its sockets alone hold. */
  freedIfKilledBytes: bytes,
};

/** One process, as an element of `processes` and in `kdump-mem.process/1`. */
export const processShape = {
  pid: z.int().nonnegative(),
  comm: z.string(),
  uid: number,
  /** Its pid in each pid namespace, the machine's first. */
  nsPids: z.array(z.int()),
  cgroup: z.string().nullable(),
  pod: z.string().nullable(),
  container: z.string().nullable(),
  ...sizes,
  /** What makes up pssBytes, by kind of page; null: not known. */
  pssByKind: z
    .strictObject({
      anonBytes: z.int().nonnegative(),
      shmemBytes: z.int().nonnegative(),
      fileBytes: z.int().nonnegative(),
    })
    .nullable(),
  /**
   * networkPinnedBytes is the likely one of these, and no count (--live --sockets); null: it is a count, or not
   * known. mostBytes null: nothing bounds it.
   */
  networkEstimate: z
    .strictObject({ leastBytes: z.int(), likelyBytes: z.int(), mostBytes: number })
    .nullable(),
  threads: number,
  oomScore: number,
  oomScoreAdj: number,
  ageSeconds: number,
  /** Ticks (100 a second) after the boot at which it began: with its pid it names the process. */
  startTicks: bytes,
  /** Processes that share this memory, and have no entry of their own. */
  sharedWith: z.array(z.int()),
  complete: z.boolean(),
};

const process = z.strictObject(processShape);

const group = z.strictObject({
  key: z.string().nullable(),
  processes: z.int().nonnegative(),
  ...sizes,
  /**
   * Killing the whole group frees freedIfKilledBytes at least, with what only its processes share, and at most this;
   * live, sockets are in neither. Null: nothing bounds it.
   */
  freedIfKilledMostBytes: bytes,
  /** networkPinnedBytes adds up estimates. */
  networkEstimated: z.boolean(),
  complete: z.boolean(),
});

const kindOfPages = z.strictObject({
  mappedBytes: z.int().nonnegative(),
  unmappedBytes: z.int().nonnegative(),
});

const machinePages = z.strictObject({
  anonymous: kindOfPages,
  swapCache: kindOfPages,
  pageCache: kindOfPages,
  shared: kindOfPages,
  hugetlb: kindOfPages,
  otherMappedBytes: z.int().nonnegative(),
});

export const procsSchema = z.strictObject({
  schema: z.literal('kdump-mem.procs/1'),
  kernel: kernelSchema.nullable(),
  source: z.enum(['vmcore', 'kcore', 'proc']),
  captured: capturedSchema,
  origin: originSchema,
  /** All processes with memory are listed: none was left out (`--container`), and /proc hides none. */
  allListed: z.boolean(),
  /** What comes back if one dies the largest first, or as --sort says. */
  processes: z.array(process),
  total: group.omit({ key: true, freedIfKilledMostBytes: true }),
  groups: z.array(group).optional(),
  kernelThreads: z.int().nonnegative(),
  zombies: z.int().nonnegative(),
  /** They ended while others were looked at. */
  exited: z.int().nonnegative(),
  /** Some figure of theirs may not be seen. */
  omitted: z.int().nonnegative(),
  /**
   * Memory of the machine, each page once: mapped by some process (PSS of all processes, but for hugetlb, adds up
   * to that), or by nobody. Null: live, or not all processes could be read.
   */
  pages: machinePages.nullable(),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type ProcsJson = z.infer<typeof procsSchema>;
