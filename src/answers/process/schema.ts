import { z } from 'zod';
import { MAPPING_KINDS } from '../../records/mappings.js';
import { capturedSchema } from '../captured-schema.js';
import { processShape } from '../procs/schema.js';
import { kernelSchema, warningSchema } from '../schema.js';

/**
 * `kdump-mem procs --pid N --json`, version 1: the process as `kdump-mem.procs/1` has it, and its mappings.
 * Sizes are bytes, null where they cannot be told. Names are as the kernel has them: JSON escapes them.
 */

const bytes = z.int().nonnegative().nullable();

const sizes = {
  /** Pages that it maps, without huge pages of hugetlb, and those divided among all mappings of them. */
  rssBytes: bytes,
  pssBytes: bytes,
  privateCleanBytes: bytes,
  privateDirtyBytes: bytes,
  sharedCleanBytes: bytes,
  sharedDirtyBytes: bytes,
  referencedBytes: bytes,
  anonBytes: bytes,
  anonHugeBytes: bytes,
  shmemHugeBytes: bytes,
  fileHugeBytes: bytes,
  privateHugetlbBytes: bytes,
  sharedHugetlbBytes: bytes,
  swapBytes: bytes,
  swapPssBytes: bytes,
  /** What of PSS mlock keeps in memory. */
  lockedBytes: bytes,
};

const address = z.string().regex(/^0x[0-9a-f]+$/);

const mapping = z.strictObject({
  /** Addresses of the process; `end` is behind the last byte. */
  start: address,
  end: address,
  /** As in /proc/PID/maps: `r-xp`. */
  permissions: z.string(),
  /** Where in its file it begins, bytes. */
  offset: address,
  kind: z.enum(MAPPING_KINDS),
  /** As /proc/PID/maps names it: a path, `[heap]`, `[anon:NAME]`; null: nothing names it. */
  path: z.string().nullable(),
  sizeBytes: z.int().nonnegative(),
  ...sizes,
});

const group = z.strictObject({
  kind: z.enum(MAPPING_KINDS),
  path: z.string().nullable(),
  mappings: z.int().nonnegative(),
  sizeBytes: z.int().nonnegative(),
  ...sizes,
});

export const processSchema = z.strictObject({
  schema: z.literal('kdump-mem.process/1'),
  kernel: kernelSchema.nullable(),
  source: z.enum(['vmcore', 'kcore', 'proc']),
  captured: capturedSchema,
  ...processShape,
  /** In the order of their addresses. */
  mappings: z.array(mapping),
  /** By file and kind: those with most that no other process has first. */
  groups: z.array(group),
  mapped: group.omit({ kind: true, path: true }),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type ProcessJson = z.infer<typeof processSchema>;
