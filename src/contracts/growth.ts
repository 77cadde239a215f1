import { z } from 'zod';
import { HOST_ERROR_CODES } from '../base/errors.js';
import type { Immutable } from '../base/util.js';
import { count, pressureSchema, warningSchema } from './common.js';
import { processShape } from './procs.js';

/**
 * `kdump-mem procs --live --ndjson` (with or without `--watch`): each sample is a line for the machine, then
 * a line for each process; an end line follows the last sample. Also `--from-samples … --json`: growth
 * computed from stored samples. Version 1; sizes are bytes, null: unknown.
 */

const bytes = count.nullable();
const seconds = z.number().nonnegative();

/**
 * Bytes per second; the true rate is between low and high with the given confidence. Null: too few samples.
 */
export const growthSchema = z
  .strictObject({
    perSecond: z.number(),
    low: z.number(),
    high: z.number(),
    /** Confidence level of the interval, 0 to 1. */
    confidence: z.number(),
    samples: count,
    /** Duration from the first sample to the last. */
    seconds,
  })
  .nullable();

/**
 * `grows`, `shrinks`: over the whole time, and still in its second half. `grew`, `shrank`: no significant
 * trend in the second half. `steady`: the interval contains zero. Null: too few samples.
 */
export const courseSchema = z.enum(['grows', 'grew', 'steady', 'shrank', 'shrinks']).nullable();

export const lossShape = {
  memAvailableGrowth: growthSchema,
  memAvailableCourse: courseSchema,
  /** Growth of the sum of `takenBytes` over all processes. */
  processesGrowth: growthSchema,
  /** Growth of MemAvailable plus that sum: the part that no process accounts for. */
  otherGrowth: growthSchema,
  /** Seconds until MemAvailable reaches zero; null: no significant decline. */
  memAvailableExhausted: z.strictObject({ soonest: seconds, likely: seconds, latest: seconds }).nullable(),
  /** `nothing`: no growth accounts for the decline of MemAvailable. Null: no decline, or unknown. */
  explanation: z.enum(['processes', 'nothing']).nullable(),
};

/** Facts about the machine at the time of a sample. */
export const machineShape = {
  at: z.iso.datetime(),
  host: z.string().nullable(),
  /** Differs after each boot. */
  bootId: z.string().nullable(),
  /** Clock of the rates: seconds since boot. */
  uptimeSeconds: seconds,
  memTotalBytes: bytes,
  memAvailableBytes: bytes,
  swapTotalBytes: bytes,
  swapFreeBytes: bytes,
  pressure: pressureSchema,
  /** Why pressure is not available. */
  noPressure: z.string().nullable(),
  noPressureCode: z.enum(HOST_ERROR_CODES).nullable(),
};

/** Identity and memory of a process. */
export const heldShape = {
  /** Start time in ticks since boot; with the pid it identifies the process. */
  startTicks: bytes,
  uptimeSeconds: seconds.nullable(),
  /** Anonymous and shared memory, including swap; without file pages and page tables. */
  heldBytes: bytes,
  /** Reduction of MemAvailable by the process: `heldBytes` without swap, plus page tables. */
  takenBytes: bytes,
  /** `pss`: shared pages are divided among the processes that map them; `rss`: they count fully for each. */
  heldBy: z.enum(['pss', 'rss']).nullable(),
  minorFaults: bytes,
  majorFaults: bytes,
  cgroupPressure: pressureSchema,
};

const grown = {
  /** Growth of `heldBytes`. */
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
  /** Time of the last sample that contains it, seconds since boot. */
  seenSeconds: seconds,
  /** Whether another process now has its pid. */
  pidReused: z.boolean(),
});

/** First line of each sample. */
export const procsSampleSchema = z.strictObject({
  schema: z.literal('kdump-mem.procs-sample/1'),
  sample: count,
  ...machineShape,
  /** Number of process lines that follow. */
  processes: count,
  ...lossShape,
  /** Processes that exited since the previous sample; a limited number of them. */
  ended: z.array(endedSchema),
  endedProcesses: count,
  /**
   * Whether all processes are listed (`--pid` and `--container` list fewer); if not, a process that is not
   * listed may still exist.
   */
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
  /** Whether a signal or a key stopped it; otherwise the requested number of samples was reached. */
  interrupted: z.boolean(),
});

/** A process and its growth rate. */
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
  /** State at the last sample. */
  machine: z.strictObject(machineShape),
  /** Number of samples of the last boot. */
  samples: count,
  seconds,
  ...lossShape,
  /** Processes with significant growth first, ordered by rate. */
  processes: z.array(grownProcessSchema),
  /** Processes that grew until they exited; a limited number of them. */
  endedGrowing: z.array(endedSchema),
  /** Number of boots; figures cover only the last one. */
  boots: count,
  /** Skipped samples: their clock was not later than that of the previous one. */
  notLater: count,
  pidsReused: count,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

/** A rate with its interval. */
export type Growth = NonNullable<Immutable<z.infer<typeof growthSchema>>>;
export type Course = NonNullable<z.infer<typeof courseSchema>>;
export type ProcsSampleJson = Immutable<z.infer<typeof procsSampleSchema>>;
export type ProcessSampleJson = Immutable<z.infer<typeof processSampleSchema>>;
export type ProcsEndJson = Immutable<z.infer<typeof procsEndSchema>>;
export type ProcsGrowthJson = Immutable<z.infer<typeof procsGrowthSchema>>;
/** State of a machine at one time. Its names are untrusted. */
export type MachineSample = ProcsGrowthJson['machine'];
/** A process and its growth since the machine's last boot. */
export type GrownProcess = ProcsGrowthJson['processes'][number];
/** A process at one time. */
export type ProcessSample = Omit<GrownProcess, keyof typeof grown>;
/** A process that has exited. */
export type EndedProcess = ProcsGrowthJson['endedGrowing'][number];
/** Trend of MemAvailable, and whether processes explain it. */
export type Loss = Pick<ProcsGrowthJson, keyof typeof lossShape>;
