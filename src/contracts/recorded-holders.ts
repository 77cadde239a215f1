import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { CATEGORIES } from '../records/categories.js';
import { HOLDER_SCANS } from '../records/holder-scans.js';
import { count } from './common.js';

/** What processes, caches, file systems and programs held, in a ring of `kdump-mem watch --ring`. */
export const recordedHoldersSchema = z.strictObject({
  schema: z.literal('kdump-mem.recorded-holders/1'),
  bootId: z.string().nullable(),
  /** Of the sample to which the list belongs. */
  uptimeSeconds: z.number().nonnegative(),
  /** Uptime at which the list was read, if no sample waited for it. */
  takenSeconds: z.number().nonnegative().optional(),
  /** Completed scans: a holder of another one may have been there. */
  scans: z.array(z.enum(HOLDER_SCANS)),
  /** The largest of each scan and category. */
  holders: z.array(
    z.strictObject({
      category: z.enum(CATEGORIES),
      scan: z.enum(HOLDER_SCANS),
      /** The same at other times of this boot. */
      key: z.string(),
      /** Untrusted. */
      name: z.string(),
      /** Null: no process. */
      pid: count.nullable(),
      bytes: count,
      /** Seconds since boot at which a process began; null: unknown, or no process. */
      beganSeconds: z.number().nonnegative().nullable(),
      /** `bytes` is an upper bound: what pipes can hold, or a slab cache that may be reclaimable. */
      bound: z.boolean(),
    }),
  ),
  /** Bytes of the largest holder for which the record had no room; 0: it has all. */
  unlistedBytes: count,
});

export type RecordedHolders = Immutable<z.output<typeof recordedHoldersSchema>>;
export type RecordedHolder = RecordedHolders['holders'][number];
