import { z } from 'zod';
import { LEFT_OUT, OPTIONAL_PARTS } from '../../capture/read/contents.js';
import { CAPTURE_FAULT_CODES } from '../../capture/read/manifest.js';
import { FAILURE_CODES } from '../../capture/write/failures.js';

const count = z.int().nonnegative();

/** `kdump-mem snapshot --json`: what was taken, and what was not. */
export const snapshotSchema = z.strictObject({
  schema: z.literal('kdump-mem.snapshot/1'),
  file: z.string(),
  sizeBytes: count,
  /** When its first sample began, by the host's clock. */
  takenAt: z.iso.datetime(),
  seconds: z.number(),
  intervalSeconds: z.number(),
  /** Files in the archive, its manifest not counted. */
  /** Those that its manifest lists. */
  files: count,
  processes: count,
  /** Network namespaces, and those of them that could not be entered. */
  namespaces: count,
  closedNamespaces: count,
  /** Optional parts that were asked for. */
  parts: z.array(z.enum(OPTIONAL_PARTS)),
  /** What was left out on purpose. */
  leftOut: z.array(z.enum(LEFT_OUT)),
  anonymized: z.boolean(),
  /** How many files of the host could not be taken, by the reason. */
  errorCounts: z.record(z.enum(FAILURE_CODES), count),
  /** The first of them that were refused, broken or cut; the archive's file `errors` has all. */
  errors: z.array(
    z.strictObject({ path: z.string(), code: z.enum(FAILURE_CODES), words: z.string() }),
  ),
  /** Nothing was refused, broken or cut. */
  complete: z.boolean(),
  gentle: z.strictObject({
    nice: z.int(),
    idleIo: z.boolean(),
    /** The file was taken out of the page cache. */
    uncached: z.boolean(),
  }),
});

export type SnapshotJson = z.infer<typeof snapshotSchema>;

/** `kdump-mem snapshot --verify FILE --json`. */
export const snapshotVerifySchema = z.strictObject({
  schema: z.literal('kdump-mem.snapshot-verify/1'),
  file: z.string(),
  whole: z.boolean(),
  files: count,
  /** Of all of them, unpacked. */
  bytes: count,
  /** What is wrong, in words: the first of them. */
  problems: z.array(z.string()),
  /** The same for programs, in the same order; `path`: of the file that it is about, null: of all. */
  faults: z.array(
    z.strictObject({ code: z.enum(CAPTURE_FAULT_CODES), path: z.string().nullable() }),
  ),
  problemCount: count,
});

export type SnapshotVerifyJson = z.infer<typeof snapshotVerifySchema>;
