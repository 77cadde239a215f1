import { z } from 'zod';
import { HOST_ERROR_CODES } from '../../base/errors/host.js';
import { processShape } from '../procs/schema.js';
import { warningSchema } from '../schema.js';

/**
 * `kdump-mem procs --live --ndjson` (with or without `--watch`): for each look a line of the machine, then one
 * for each process; at last one that says that it is the last. And `--from-samples … --json`, what grew by them.
 * Version 1; sizes are bytes, null: it cannot be told.
 */

const count = z.int().nonnegative();
const bytes = count.nullable();
const seconds = z.number().nonnegative();

/** Bytes a second; the true rate is between low and high with that confidence. Null: too few samples. */
export const growthSchema = z
  .strictObject({
    perSecond: z.number(),
    low: z.number(),
    high: z.number(),
    confidence: z.number(),
    samples: count,
    seconds,
  })
  .nullable();

/**
 * `grows`, `shrinks`: as a whole, and still in the later half of the time. `grew`, `shrank`: that it goes on
 * cannot be told. `steady`: its interval has zero in it. Null: too few samples.
 */
export const courseSchema = z.enum(['grows', 'grew', 'steady', 'shrank', 'shrinks']).nullable();

const pressureLine = z.strictObject({
  avg10: z.number(),
  avg60: z.number(),
  avg300: z.number(),
  totalMicroseconds: count,
});

/** PSI: how much of the time some tasks, or all at once, waited for memory; per cent. Null: not told. */
const pressureSchema = z.strictObject({ some: pressureLine, full: pressureLine }).nullable();

export const lossShape = {
  memAvailableGrowth: growthSchema,
  memAvailableCourse: courseSchema,
  /** Of what all processes take of it together: the sum of `takenBytes`. */
  processesGrowth: growthSchema,
  /** Of MemAvailable and that together: what no process explains. */
  otherGrowth: growthSchema,
  /** Seconds until MemAvailable is nothing; null: it does not fall for sure. */
  memAvailableExhausted: z
    .strictObject({ soonest: seconds, likely: seconds, latest: seconds })
    .nullable(),
  /** `nothing`: nothing that grew explains the fall of MemAvailable. Null: it does not fall, or not told. */
  explanation: z.enum(['processes', 'nothing']).nullable(),
};

/** What is known of the machine at the time of a sample. */
export const machineShape = {
  at: z.iso.datetime(),
  host: z.string().nullable(),
  /** Another one after each boot. */
  bootId: z.string().nullable(),
  /** The clock that rates are told by: seconds since the machine was booted. */
  uptimeSeconds: seconds,
  memTotalBytes: bytes,
  memAvailableBytes: bytes,
  swapTotalBytes: bytes,
  swapFreeBytes: bytes,
  pressure: pressureSchema,
  /** Why there is none. */
  noPressure: z.string().nullable(),
  noPressureCode: z.enum(HOST_ERROR_CODES).nullable(),
};

/** Which process, and what it holds. */
export const heldShape = {
  /** Ticks after the boot at which it began: with its pid it names the process. */
  startTicks: bytes,
  uptimeSeconds: seconds.nullable(),
  /** Anonymous and shared memory, in swap too; pages of files and page tables are not in it. */
  heldBytes: bytes,
  /** What of MemAvailable it takes: the same without swap, with page tables. */
  takenBytes: bytes,
  /** `pss`: shared pages are divided among those who map them; `rss`: they count for each. */
  heldBy: z.enum(['pss', 'rss']).nullable(),
  minorFaults: bytes,
  majorFaults: bytes,
  cgroupPressure: pressureSchema,
};

const grown = {
  /** Of `heldBytes`. */
  growth: growthSchema,
  course: courseSchema,
  minorFaultsPerSecond: seconds.nullable(),
  majorFaultsPerSecond: seconds.nullable(),
};

const named = { pid: count, comm: z.string() };

export const endedSchema = z.strictObject({
  ...named,
  startTicks: bytes,
  heldBytes: bytes,
  growth: growthSchema,
  course: courseSchema,
  /** Seconds after the boot, when it was last seen. */
  seenSeconds: seconds,
  /** Another process has its pid now. */
  pidReused: z.boolean(),
});

/** First of each look. */
export const procsSampleSchema = z.strictObject({
  schema: z.literal('kdump-mem.procs-sample/1'),
  sample: count,
  ...machineShape,
  /** So many lines of processes follow. */
  processes: count,
  ...lossShape,
  /** Since the look before; of very many not all. */
  ended: z.array(endedSchema),
  endedProcesses: count,
  /** All processes are there (`--pid` and `--container` list fewer); else one that is not has not ended. */
  allListed: z.boolean(),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export const processSampleSchema = z.strictObject({
  schema: z.literal('kdump-mem.process-sample/1'),
  ...processShape,
  ...heldShape,
  ...grown,
});

export const procsEndSchema = z.strictObject({
  schema: z.literal('kdump-mem.procs-end/1'),
  samples: count,
  /** By a signal, or a key; else it has looked as often as it was asked to. */
  interrupted: z.boolean(),
});

/** A process, and how fast it grows. */
export const grownProcessSchema = z.strictObject({
  ...named,
  nsPids: z.array(z.int()),
  cgroup: z.string().nullable(),
  pod: z.string().nullable(),
  container: z.string().nullable(),
  ...heldShape,
  ...grown,
});

export const procsGrowthSchema = z.strictObject({
  schema: z.literal('kdump-mem.procs-growth/1'),
  /** At the last sample. */
  machine: z.strictObject(machineShape),
  /** Of the last boot. */
  samples: count,
  seconds,
  ...lossShape,
  /** What grows for sure first, the fastest of it first. */
  processes: z.array(grownProcessSchema),
  /** Those that grew until they ended, and no more than a few. */
  endedGrowing: z.array(endedSchema),
  /** How many boots samples are of; what they tell is of the last alone. */
  boots: count,
  /** Samples that were not taken: their clock was not later than that before. */
  notLater: count,
  pidsReused: count,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type GrowthJson = z.infer<typeof growthSchema>;
export type PressureJson = z.infer<typeof pressureSchema>;
export type ProcsSampleJson = z.infer<typeof procsSampleSchema>;
export type ProcessSampleJson = z.infer<typeof processSampleSchema>;
export type ProcsEndJson = z.infer<typeof procsEndSchema>;
export type ProcsGrowthJson = z.infer<typeof procsGrowthSchema>;
