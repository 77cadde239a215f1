import { z } from 'zod';
import { CATEGORIES } from '../../account/memory/categories.js';
import { heldShape, machineShape } from '../growth/schema.js';
import { unavailableCode } from '../unavailable-code.js';

/**
 * A line of `kdump-mem watch --store`: one sample. Version 1; sizes are bytes, null: it cannot be told.
 */

const count = z.int().nonnegative();

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
  /** After so many seconds the next is to come. */
  intervalSeconds: z.number().positive(),
  /** Samples since the line before that could not be taken or stored. */
  lostBefore: count,
  /** What tells of the categories; null: nothing could. */
  source: z.enum(MEMORY_SOURCES).nullable(),
  /** Bytes of each; one of which nothing is known is not there. */
  categories: z.partialRecord(z.enum(CATEGORIES), count).nullable(),
  /** Why there are none. */
  noCategories: z.string().nullable(),
  noCategoriesCode: unavailableCode.nullable(),
  /** Those that hold most, and those that were among them before. */
  processes: z.array(processSchema.omit({ cgroupPressure: true })),
  /** All others together. */
  otherProcesses: z.strictObject({
    processes: count,
    /** Of MemAvailable. */
    takenBytes: count.nullable(),
    /** Of those alone whose shared memory is divided. */
    seenBytes: count,
  }),
  /** A process that was in the line before and is not in this one has ended. */
  allListed: z.boolean(),
  /** /proc hides some processes. */
  hidden: z.boolean(),
});

export type WatchSampleJson = z.infer<typeof watchSampleSchema>;
