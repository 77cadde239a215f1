import { z } from 'zod';
import { snapshotSchema } from './schema.js';

/** A line of `kdump-mem snapshot --when … --json`: one was due. */
export const snapshotDueSchema = z.strictObject({
  schema: z.literal('kdump-mem.snapshot-due/1'),
  at: z.iso.datetime(),
  reasons: z.array(
    z.strictObject({
      condition: z.enum(['psi', 'psi-full', 'available', 'oom']),
      /** Percent of 10 s; bytes of available; processes killed since the last snapshot. */
      value: z.number(),
      /** What was asked, in the same unit; null: of oom. */
      limit: z.number().nullable(),
    }),
  ),
  /** Null: it could not be taken, and `failed` says why. */
  snapshot: snapshotSchema.nullable(),
  failed: z.string().nullable(),
  /** Of `failed`; null also where what went wrong has none. */
  failedCode: z.string().nullable(),
  /** Names of older ones that were removed for it. */
  removed: z.array(z.string()),
});

/** The last line: it was told to end, or has taken as many as were asked. */
export const snapshotDueEndSchema = z.strictObject({
  schema: z.literal('kdump-mem.snapshot-due-end/1'),
  snapshots: z.int().nonnegative(),
  failed: z.int().nonnegative(),
});

export type SnapshotDueJson = z.infer<typeof snapshotDueSchema>;
