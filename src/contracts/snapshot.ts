import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { CAPTURE_FAULT_CODES, FAILURE_CODES, LEFT_OUT, OPTIONAL_PARTS } from '../records/snapshot-parts.js';
import { count } from './common.js';

/** `kdump-mem snapshot --json`: contents, and missing data. */
export const snapshotSchema = z.strictObject({
  schema: z.literal('kdump-mem.snapshot/1'),
  file: z.string(),
  sizeBytes: count,
  /** Start of the first sample, according to the host's clock. */
  takenAt: z.iso.datetime(),
  seconds: z.number(),
  intervalSeconds: z.number(),
  /** Number of files in the manifest. */
  files: count,
  /** Processes with memory of their own, as in kdump-mem.procs/1. */
  processes: count,
  kernelThreads: count,
  /** Processes and kernel threads that were running, but are missing: the limit of time or size was reached before them. */
  missingProcesses: count,
  /** Number of network namespaces, and of those that could not be entered. */
  namespaces: count,
  closedNamespaces: count,
  /** Requested optional parts. */
  parts: z.array(z.enum(OPTIONAL_PARTS)),
  /** Data excluded on purpose. */
  leftOut: z.array(z.enum(LEFT_OUT)),
  anonymized: z.boolean(),
  /** Number of host files that could not be read, by cause. */
  errorCounts: z.record(z.enum(FAILURE_CODES), count),
  /** The first failures (denied, unreadable, cut); the archive's file `errors` lists all. */
  errors: z.array(z.strictObject({ path: z.string(), code: z.enum(FAILURE_CODES), words: z.string() })),
  /** Whether nothing was denied, unreadable or cut. */
  complete: z.boolean(),
  /** CPU priority, and whether I/O used the idle class (ionice -c3). */
  priority: z.strictObject({ nice: z.int(), idleIo: z.boolean() }),
  /** Whether the file was dropped from the page cache. */
  uncached: z.boolean(),
});

export type SnapshotJson = Immutable<z.infer<typeof snapshotSchema>>;

/** `kdump-mem snapshot --verify FILE --json`. */
export const snapshotVerifySchema = z.strictObject({
  schema: z.literal('kdump-mem.snapshot-verify/1'),
  file: z.string(),
  intact: z.boolean(),
  files: count,
  /** Size of all files, unpacked. */
  bytes: count,
  /** Number of host files that could not be read completely when the snapshot was taken. */
  unreadFiles: count,
  /** Descriptions of the first problems. */
  problems: z.array(z.string()),
  /** The same as codes, in the same order; `path` is null for problems of the archive itself. */
  faults: z.array(z.strictObject({ code: z.enum(CAPTURE_FAULT_CODES), path: z.string().nullable() })),
  problemCount: count,
});

export type SnapshotVerifyJson = Immutable<z.infer<typeof snapshotVerifySchema>>;

/** A line of `kdump-mem snapshot --when … --json`: a condition was met. */
export const snapshotDueSchema = z.strictObject({
  schema: z.literal('kdump-mem.snapshot-due/1'),
  at: z.iso.datetime(),
  reasons: z.array(
    z.strictObject({
      condition: z.enum(['psi', 'psi-full', 'available', 'oom']),
      /** Measured value: percentage of 10 s, available bytes, or processes killed since the last snapshot. */
      value: z.number(),
      /** The requested limit in the same unit; null for oom. */
      limit: z.number().nullable(),
    }),
  ),
  /** Null: the snapshot failed, and `failed` has the reason. */
  snapshot: snapshotSchema.nullable(),
  failed: z.string().nullable(),
  /** Code of `failed`; also null if the error has none. */
  failedCode: z.string().nullable(),
  /** Names of older snapshots that were removed to make room. */
  removed: z.array(z.string()),
});

/** The last line: stopped by a signal, or after the requested number of snapshots. */
export const snapshotDueEndSchema = z.strictObject({
  schema: z.literal('kdump-mem.snapshot-due-end/1'),
  snapshots: z.int().nonnegative(),
  failed: z.int().nonnegative(),
});

export type SnapshotDueJson = Immutable<z.infer<typeof snapshotDueSchema>>;
