import { z } from 'zod';
import { CATEGORIES } from '../../account/memory/categories.js';
import { WATCH_DOUBT_CODES } from '../../growth/watch/doubts.js';
import {
  courseSchema,
  endedSchema,
  grownProcessSchema,
  growthSchema,
  lossShape,
  machineShape,
} from '../growth/schema.js';
import { warningSchema } from '../schema.js';
import { MEMORY_SOURCES } from './sample-schema.js';

/** `kdump-mem watch --json`: what grew. Version 1; sizes are bytes, null: it cannot be told. */

const count = z.int().nonnegative();
const seconds = z.number().nonnegative();
const verdict = z.enum(['grows', 'nothing-grows', 'inconclusive']);
const category = z.strictObject({
  category: z.enum(CATEGORIES),
  group: z.enum(['free', 'applications-and-files', 'kernel', 'reserved', 'unknown']),
  bytes: count,
  /** The kernel takes it back itself where memory is short: that it grows is no leak. */
  reclaimable: z.boolean(),
  growth: growthSchema,
  course: courseSchema,
});

export const watchSchema = z.strictObject({
  schema: z.literal('kdump-mem.watch/1'),
  /** `nothing-grows`: that is known. `inconclusive`: neither that nor that something does. */
  verdict,
  /** What makes it doubtful, or was met besides: `kdump-mem explain CODE`. */
  doubts: z.array(z.strictObject({ code: z.enum(WATCH_DOUBT_CODES), message: z.string() })),
  /** No category that counts grows faster; null: of some it is not known. */
  atMostPerSecond: seconds.nullable(),
  /** At the last sample. */
  machine: z.strictObject(machineShape),
  /** When the first sample of this boot was taken. */
  from: z.iso.datetime(),
  /** Of the last boot. */
  samples: count,
  seconds,
  source: z.enum(MEMORY_SOURCES).nullable(),
  ...lossShape,
  /** What grows for sure first, the fastest of it first. */
  categories: z.array(category),
  /** As `categories`. Of processes that hold little there are none. */
  processes: z.array(grownProcessSchema),
  /** Those that grew until they ended, and no more than a few. */
  endedGrowing: z.array(endedSchema),
  /** Times without samples. */
  gaps: z.strictObject({ count, seconds, longestSeconds: seconds }),
  /** Samples that could not be taken, or not be stored by who stored the others. */
  lostSamples: count,
  /** How many boots samples are of; what they tell is of the last alone. */
  boots: count,
  /** The latest of those before. */
  earlierBoots: z.array(
    z.strictObject({
      bootId: z.string().nullable(),
      from: z.iso.datetime(),
      to: z.iso.datetime(),
      samples: count,
      seconds,
      verdict,
      growing: z.array(category),
    }),
  ),
  notLater: count,
  pidsReused: count,
  /** Null: samples were not stored. */
  store: z
    .strictObject({
      file: z.string(),
      /** Lines that were cut off. */
      tornLines: count,
      /** Samples of this watch that are not in it. */
      notStored: count,
    })
    .nullable(),
  /** `signal`: it was told to end. `time`: its time was over. `stored`: nothing was watched. */
  ended: z.enum(['signal', 'time', 'stored']),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type WatchJson = z.infer<typeof watchSchema>;
export type WatchCategoryJson = z.infer<typeof category>;
