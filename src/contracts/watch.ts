import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { CATEGORIES } from '../records/categories.js';
import { DEVICE_KINDS } from '../records/named-memory.js';
import { count, unavailableCode, warningSchema } from './common.js';
import {
  courseSchema,
  endedSchema,
  grownProcessSchema,
  growthSchema,
  heldShape,
  lossShape,
  machineShape,
} from './growth.js';

/** A line of `kdump-mem watch --store`: one sample. Version 1; sizes are bytes, null: unknown. */

const MEMORY_SOURCES = ['vmcore', 'kcore', 'pageflags', 'counters'] as const;

const processSchema = z.strictObject({
  pid: count,
  comm: z.string(),
  nsPids: z.array(z.int()),
  cgroup: z.string().nullable(),
  ...heldShape,
});

/** Rings, pins and buffers of devices: categories contain this memory. */
const device = z.strictObject({
  kind: z.enum(DEVICE_KINDS),
  name: z.string(),
  /** Null: its bounds differ too much to be compared with another time. */
  bytes: count.nullable(),
  leastBytes: count,
  mostBytes: count,
  /** The process that has most of it; null: unknown. */
  process: z.strictObject({ pid: count, comm: z.string().nullable(), bytes: count }).nullable(),
});
/** Kinds of devices that the last sample could not read, or only in part. */
const unreadDevices = z.array(z.enum(DEVICE_KINDS));

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
  /** The largest; null: not read. */
  devices: z.array(device).nullable(),
  unreadDevices,
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

export type WatchSampleJson = Immutable<z.output<typeof watchSampleSchema>>;

/**
 * Reasons to doubt that nothing grew, and further observations. `too-short`: less than two days, so that the
 * time of day may explain the changes. `gaps`: times without samples. `lost-samples`: samples that could not
 * be taken or stored. `no-categories`: samples without a memory breakdown. `source-changed`: the memory
 * breakdown changed its source. `sum-changed`: the sum of all categories changed, but not the memory of the
 * machine. `may-grow`: growth of a category cannot be excluded. `available-falls`: MemAvailable declines, but
 * no category grows. `rebooted`: the result covers only the last boot. `clock`: times that contradict each
 * other. `hidden`: /proc hides processes.
 */
export const WATCH_DOUBT_CODES = [
  'too-short',
  'gaps',
  'lost-samples',
  'no-categories',
  'source-changed',
  'sum-changed',
  'may-grow',
  'available-falls',
  'rebooted',
  'clock',
  'hidden',
] as const;

/** `kdump-mem watch --json`: what grew. Version 1; sizes are bytes, null: unknown. */

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
  /** Doubts and notes: `kdump-mem explain CODE`. */
  doubts: z.array(z.strictObject({ code: z.enum(WATCH_DOUBT_CODES), message: z.string() })),
  /** Maximum growth of a category; null: unknown for some. */
  atMostPerSecond: seconds.nullable(),
  /** At the last sample. */
  machine: z.strictObject(machineShape),
  /** Time of the first sample of this boot. */
  from: z.iso.datetime(),
  /** Samples of the last boot. */
  samples: count,
  seconds,
  source: z.enum(MEMORY_SOURCES).nullable(),
  ...lossShape,
  /** Significant growth first, fastest first. */
  categories: z.array(category),
  /** At the last sample, the largest first; `growth` is null as well where an amount is unknown. */
  devices: z.array(device.extend({ growth: growthSchema, course: courseSchema })),
  unreadDevices,
  /** As `categories`. Small processes are left out. */
  processes: z.array(grownProcessSchema),
  /** Exited processes that grew until they exited; only a few. */
  endedGrowing: z.array(endedSchema),
  /** Times without samples. */
  gaps: z.strictObject({ count, seconds, longestSeconds: seconds }),
  /** Samples that failed, or could not be stored. */
  lostSamples: count,
  /** Number of boots; figures are of the last one only. */
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
  /** `signal`: ended by a signal. `time`: the requested time was over. `stored`: a store was read, nothing was watched. */
  ended: z.enum(['signal', 'time', 'stored']),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type WatchDoubtCode = (typeof WATCH_DOUBT_CODES)[number];
/** Growth of a watched machine. */
export type WatchJson = Immutable<z.output<typeof watchSchema>>;
export type WatchCategory = WatchJson['categories'][number];
/** Growth of rings, pins or buffers of devices. */
export type GrownDevice = WatchJson['devices'][number];
/** Such memory at one time. Its name is untrusted. */
export type DeviceSample = NonNullable<WatchSampleJson['devices']>[number];
/** Result of an earlier boot. */
export type EarlierBoot = WatchJson['earlierBoots'][number];
