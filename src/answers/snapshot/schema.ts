import { z } from 'zod';
import { LEFT_OUT, OPTIONAL_PARTS } from '../../capture/read/contents.js';
import { CAPTURE_FAULT_CODES } from '../../capture/read/manifest.js';
import { FAILURE_CODES } from '../../capture/write/failures.js';

const count = z.int().nonnegative();

/** `kdump-mem snapshot --json`: what it contains, and what is missing. */
export const snapshotSchema = z.strictObject({
  schema: z.literal('kdump-mem.snapshot/1'),
  file: z.string(),
  sizeBytes: count,
  /** Start of the first sample, by the host's clock. */
  takenAt: z.iso.datetime(),
  seconds: z.number(),
  intervalSeconds: z.number(),
  /** Files that the manifest lists. */
  files: count,
  processes: count,
  /** Network namespaces, and those of them that could not be entered. */
  namespaces: count,
  closedNamespaces: count,
  /** Requested optional parts. */
  parts: z.array(z.enum(OPTIONAL_PARTS)),
  /** What was excluded on purpose. */
  leftOut: z.array(z.enum(LEFT_OUT)),
  anonymized: z.boolean(),
  /** Number of host files that could not be read, by cause. */
  errorCounts: z.record(z.enum(FAILURE_CODES), count),
  /** The first failures (denied, unreadable, cut); the archive's file `errors` lists all. */
  errors: z.array(
    z.strictObject({ path: z.string(), code: z.enum(FAILURE_CODES), words: z.string() }),
  ),
  /** True: nothing was denied, unreadable or cut. */
  complete: z.boolean(),
  /** CPU priority, and whether I/O ran in the idle class (ionice -c3). */
  priority: z.strictObject({ nice: z.int(), idleIo: z.boolean() }),
  /** The file was dropped from the page cache. */
  uncached: z.boolean(),
});

export type SnapshotJson = z.infer<typeof snapshotSchema>;

/** `kdump-mem snapshot --verify FILE --json`. */
export const snapshotVerifySchema = z.strictObject({
  schema: z.literal('kdump-mem.snapshot-verify/1'),
  file: z.string(),
  intact: z.boolean(),
  files: count,
  /** Size of all files, unpacked. */
  bytes: count,
  /** Descriptions of the first problems. */
  problems: z.array(z.string()),
  /** The same as codes, in the same order; `path` is null for problems of the archive itself. */
  faults: z.array(
    z.strictObject({ code: z.enum(CAPTURE_FAULT_CODES), path: z.string().nullable() }),
  ),
  problemCount: count,
});

export type SnapshotVerifyJson = z.infer<typeof snapshotVerifySchema>;
