import { z } from 'zod';
import type { Immutable } from '../../base/util.js';
import { DESCRIPTOR_KINDS } from '../../records/files.js';
import { MAPPING_KINDS } from '../../records/mappings.js';
import { processShape } from '../procs/schema.js';
import { capturedSchema, kernelSchema, warningSchema } from '../schema.js';

/**
 * `kdump-mem procs --pid N --json`, version 1: the process as in `kdump-mem.procs/1`, and its mappings. Sizes
 * are bytes, null if unknown. Names are copied from the kernel and JSON-escaped.
 */

const bytes = z.int().nonnegative().nullable();

const sizes = {
  /** Resident pages (RSS) without hugetlb pages; `pssBytes` divides them among all their mappings. */
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
  /** Part of PSS locked by mlock. */
  lockedBytes: bytes,
};

const address = z.string().regex(/^0x[0-9a-f]+$/);

const mapping = z.strictObject({
  /** Virtual address range; `end` is exclusive. */
  start: address,
  end: address,
  /** As in /proc/PID/maps: `r-xp`. */
  permissions: z.string(),
  /** Offset in its file, bytes. */
  offset: address,
  kind: z.enum(MAPPING_KINDS),
  /** Name as in /proc/PID/maps: a path, `[heap]`, `[anon:NAME]`; null: no name. */
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
  /** Ordered by address. */
  mappings: z.array(mapping),
  /** Grouped by file and kind, in decreasing order of memory that no other process holds. */
  groups: z.array(group),
  mapped: group.omit({ kind: true, path: true }),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type ProcessJson = Immutable<z.infer<typeof processSchema>>;

/** `kdump-mem procs --pid N --fds --json`, version 1: open descriptors by kind. */
export const processFdsSchema = z.strictObject({
  schema: z.literal('kdump-mem.process-fds/1'),
  pid: z.int().positive(),
  comm: z.string().nullable(),
  /** Number of open descriptors; unreadable ones are in no group. */
  count: z.int().nonnegative(),
  /** RLIMIT_NOFILE; null: unlimited or unknown. */
  limit: z.int().nonnegative().nullable(),
  /** Most descriptors first. */
  groups: z.array(
    z.strictObject({
      kind: z.enum(DESCRIPTOR_KINDS),
      count: z.int().nonnegative(),
      /**
       * Memory of memfds and dma-bufs, of pipes in a dump, of BPF maps with --live, counting each object once; null:
       * unknown.
       */
      bytes,
      /** Number of files that epoll or inotify watches, or of fanotify marks; null: another kind. */
      items: bytes,
      /** Most frequent names; sockets and pipes have no names of their own. */
      names: z.array(z.strictObject({ name: z.string(), count: z.int().positive() })),
    }),
  ),
  /** Descriptors in messages (SCM_RIGHTS) that its unix sockets have not received; null: unknown. */
  passed: bytes,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type ProcessFdsJson = Immutable<z.infer<typeof processFdsSchema>>;
