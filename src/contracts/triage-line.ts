import { z } from 'zod';
import { KERNEL_ERROR_CODES } from '../base/errors.js';
import type { Immutable } from '../base/util.js';
import { SEARCH_ERROR_CODES, SEVERITIES } from '../records/triage-codes.js';
import { count } from './common.js';
import { textLogSchema } from './log.js';
import { findingSchema, triageSchema } from './triage.js';

/** `kdump-mem triage --ndjson`, version 1: a line for each dump, and one in the end. Null: not known. */

const hostile = z.string();

export const lineErrorSchema = z.strictObject({
  /**
   * Error of the dump (`not-a-dump`, `truncated`, `damaged`, `no-symbols`, `permission`, …), or of the worker
   * process: `timed-out`, `out-of-memory`, `killed`, `exhausted`, `worker-failed`.
   */
  code: z.string(),
  message: z.string(),
  /** The signal that ended the process, such as `SIGKILL`. */
  signal: z.string().nullable(),
});

const ownerSchema = z.strictObject({
  kind: z.enum(['process', 'cache', 'caller', 'table', 'row', 'file', 'segment', 'mapping', 'tmpfs', 'device']),
  name: hostile,
  /** Process id. */
  pid: count.nullable(),
  bytes: count,
  /** `memory`: in all categories together; `sockets`: what its sockets pin, where memory could not be counted. */
  of: z.enum(['memory', 'sockets']),
});

/** A dump, as its worker reports it. */
export const summarySchema = z.strictObject({
  /** Build id and time of the crash: the same of copies of one dump. */
  key: z.string().nullable(),
  /** The dump was read; `complete` says whether all of it could be. */
  ok: z.boolean(),
  error: lineErrorSchema.nullable(),
  release: hostile.nullable(),
  /** GNU build id of the kernel, in hex. */
  buildId: z.string().nullable(),
  crashTime: triageSchema.shape.crashTime,
  time: triageSchema.shape.time,
  nodename: hostile.nullable(),
  uptimeSeconds: count.nullable(),
  panic: triageSchema.shape.panic,
  /** The most severe first; null: the dump could not be read. */
  findings: z.array(findingSchema).nullable(),
  /** Messages of the log that newer ones have overwritten, or that it had no room for; null: no log was read. */
  overwritten: triageSchema.shape.overwritten,
  noRoom: triageSchema.shape.noRoom,
  /** The largest categories. */
  memory: triageSchema.shape.memory,
  topOwner: ownerSchema.nullable(),
  /** Memory pinned by sockets, by cgroup of the holder; shared memory counts in both. Null: unknown. */
  cgroups: z
    .array(
      z.strictObject({
        cgroup: hostile,
        /** The uid of its Kubernetes pod, and the id of its container; null: it is in none. */
        pod: z.string().nullable(),
        container: z.string().nullable(),
        sockets: count,
        pinnedBytes: count,
      }),
    )
    .nullable(),
  /** Equal of dumps of the same trouble; null: nothing was found to compare. */
  fingerprint: z
    .strictObject({
      id: z.string().regex(/^[0-9a-f]{16}$/),
      kind: hostile,
      functions: z.array(hostile),
      owner: hostile.nullable(),
    })
    .nullable(),
  /** Logs that are text, on which findings rest. Absent: on the dump. */
  logs: z.array(textLogSchema).optional(),
  /** Required files of --symbols-dir. `release`: nothing shows that it is of this very build. */
  symbolFiles: z.array(
    z.strictObject({ path: hostile, as: z.enum(['vmlinux', 'symbols', 'btf']), by: z.enum(['build-id', 'release']) }),
  ),
  /** Effects of custom rules: silenced, changed and undecided ones. Absent: none. */
  rules: triageSchema.shape.rules,
  complete: z.boolean(),
  warnings: triageSchema.shape.warnings,
});

export const triageLineSchema = z.strictObject({
  schema: z.literal('kdump-mem.triage-line/1'),
  /** Absolute path; for a split dump, of its first part. */
  dump: hostile,
  /** Files that it consists of. */
  parts: count,
  /** Bytes of them, and when the last was changed; null: not known, or no year of four digits. */
  size: count,
  mtime: z.iso.datetime().nullable(),
  /** SHA-256 of the file of --rules that held; null: none. */
  rulesFile: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  ...summarySchema.shape,
  /** How long it took: the one figure that is another each time. */
  seconds: z.number().nonnegative(),
});

export const triageEndSchema = z.strictObject({
  schema: z.literal('kdump-mem.triage-end/1'),
  /** Lines before this one, of this run and of resumed ones. */
  dumps: count,
  /** Of these: readable ones, and unreadable ones. */
  read: count,
  failed: count,
  /** Readable dumps with unreadable parts. */
  incomplete: count,
  /** With --fail-on: lines with a finding so severe, or of such a code. */
  severe: count.nullable(),
  /** Lines that an earlier run had made, of dumps that did not change. */
  resumed: count,
  /** Lines of an earlier run about dumps that this run does not include. */
  kept: count,
  /** Dumps that belong to other shards. */
  otherShards: count,
  /** Passed over in folders: files that are no dumps, symbolic links, devices and their kin. */
  skipped: z.strictObject({ files: count, links: count, special: count }),
  /** Folders that could not be listed. */
  unlisted: z.array(
    z.strictObject({ path: hostile, code: z.enum([...SEARCH_ERROR_CODES, ...KERNEL_ERROR_CODES]), why: z.string() }),
  ),
  shard: z.strictObject({ index: count, of: count }).nullable(),
  seconds: z.number().nonnegative(),
});

/** Fields that are read again from a line of an earlier run: additions of later versions do not matter. */
export const earlierLineSchema = z.object({
  schema: z.literal('kdump-mem.triage-line/1'),
  dump: hostile,
  size: count,
  mtime: triageLineSchema.shape.mtime,
  rulesFile: triageLineSchema.shape.rulesFile.default(null),
  ok: z.boolean(),
  error: z.object({ code: z.string() }).nullable(),
  release: hostile.nullable(),
  nodename: hostile.nullable(),
  time: z.object({ at: z.string(), from: z.enum(['crash', 'clock']) }).nullable(),
  panic: z.object({ state: z.string(), message: z.string().nullable(), cause: z.string().nullable() }).nullable(),
  findings: z.array(z.object({ code: z.string(), severity: z.enum(SEVERITIES) })).nullable(),
  overwritten: triageSchema.shape.overwritten.default(null),
  noRoom: triageSchema.shape.noRoom.default(null),
  topOwner: z.object({ name: hostile, bytes: count }).nullable(),
  fingerprint: z
    .object({ id: z.string(), kind: hostile, functions: z.array(hostile), owner: hostile.nullable() })
    .nullable(),
  rules: z.object({ unknown: z.array(z.unknown()), silenced: z.array(z.object({ findings: count })) }).optional(),
  complete: z.boolean(),
});

export type EarlierLine = Immutable<z.input<typeof earlierLineSchema>>;
export type SummaryJson = Immutable<z.input<typeof summarySchema>>;
export type TriageLineJson = Immutable<z.input<typeof triageLineSchema>>;
export type TriageEndJson = Immutable<z.input<typeof triageEndSchema>>;
