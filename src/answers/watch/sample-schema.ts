import { z } from 'zod';
import { CATEGORIES } from '../../account/memory/categories.js';
import type { Immutable } from '../../base/immutable.js';
import { heldShape, machineShape } from '../growth/schema.js';
import { count } from '../schema.js';
import { unavailableCode } from '../unavailable-code.js';

/** A line of `kdump-mem watch --store`: one sample. Version 1; sizes are bytes, null: unknown. */

export const MEMORY_SOURCES = ['vmcore', 'kcore', 'pageflags', 'counters'] as const;

const processSchema = z.strictObject({
  pid: count,
  comm: z.string(),
  nsPids: z.array(z.int()),
  cgroup: z.string().nullable(),
  ...heldShape,
});

export const watchSampleSchema = z.strictObject({
  schema: z.literal('kdump-mem.watch-sample/1'),
  ...machineShape,
  /** Seconds until the next sample. */
  intervalSeconds: z.number().positive(),
  /** Samples since the previous line that failed or could not be stored. */
  lostBefore: count,
  /** Source of the categories; null: none could be read. */
  source: z.enum(MEMORY_SOURCES).nullable(),
  /** Bytes of each category; unknown ones are absent. */
  categories: z.partialRecord(z.enum(CATEGORIES), count).nullable(),
  /** Why there are none. */
  noCategories: z.string().nullable(),
  noCategoriesCode: unavailableCode.nullable(),
  /** The largest processes, and those of the previous sample. */
  processes: z.array(processSchema.omit({ cgroupPressure: true })),
  /** All others together. */
  otherProcesses: z.strictObject({
    processes: count,
    /** Part of MemAvailable. */
    takenBytes: count.nullable(),
    /** Only processes whose shared memory is divided. */
    seenBytes: count,
  }),
  /** A process that was in the line before and is not in this one has ended. */
  allListed: z.boolean(),
  /** /proc hides some processes. */
  hidden: z.boolean(),
});

export type WatchSampleJson = Immutable<z.infer<typeof watchSampleSchema>>;
