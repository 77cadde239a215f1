import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { count } from './common.js';

/**
 * `kdump-mem procs --stacks --json`, version 1. Sizes are bytes. Text (comm, symbols, modules) is as in the
 * process: JSON escapes it.
 */

const frame = z.strictObject({
  /** Null: no symbol covers it. */
  symbol: z.string().nullable(),
  /** The mapped file. */
  module: z.string(),
  /** Address in the module of a frame without a symbol; null: stacks are grouped by function. */
  offset: z.string().nullable(),
  /** The frame is a guess, not unwound. */
  guess: z.boolean(),
});

const faults = z.strictObject({
  /** Recorded page faults times the period. */
  faults: count,
  /** Size of the faulted pages. */
  bytes: count,
});

const kinds = {
  /** New private memory of the process. */
  anonymous: faults,
  /** tmpfs, memfd, shared anonymous memory: counted for the process that touches a page first. */
  shared: faults,
  hugetlb: faults,
};

const newMemory = { newBytes: count, ...kinds };
const call = z.strictObject({ frames: z.array(frame), calls: count, bytes: count });

export const stacksSchema = z.strictObject({
  schema: z.literal('kdump-mem.stacks/1'),
  source: z.enum(['perf']),
  pid: z.int().positive(),
  comm: z.string(),
  seconds: z.number().nonnegative(),
  requestedSeconds: z.number().positive(),
  ended: z.enum(['time', 'interrupted', 'process-ended', 'size-limit']),
  /** One in this many minor faults was recorded; figures are scaled by it. */
  period: z.int().positive(),
  samples: count,
  pageSize: z.int().positive(),
  /** False: faults count as one base page, also where they brought a huge one. */
  pageSizesKnown: z.boolean(),
  newBytes: count,
  newBytesPerSecond: z.number().nonnegative().nullable(),
  ...kinds,
  /** On files, and private copies of their pages. */
  file: faults,
  /** On mappings that perf does not know. */
  unknown: faults,
  swappedIn: faults,
  /** Faults of processes that it forked meanwhile, which no other figure has. */
  childFaults: count,
  minorFaults: count,
  majorFaults: count,
  /** By how many faults the kernel's own count grew (/proc/PID/stat); null: the process is gone. */
  kernelFaults: z.strictObject({ atLeast: count, atMost: count }).nullable(),
  /** By how many bytes RssAnon grew; null: not known. */
  anonymousGrowthBytes: z.int().nullable(),
  /** Records that the kernel had no room for. */
  lostRecords: count,
  /** New memory whose stacks are cut off before the beginning of their threads. */
  truncatedBytes: count,
  /** Largest first. */
  functions: z.array(z.strictObject({ ...newMemory, frame: frame.nullable() })),
  /** Frames stand outermost last. */
  stacks: z.array(z.strictObject({ frames: z.array(frame), ...newMemory })),
  /** Calls that request address space; null: not recorded. */
  addressSpace: z.strictObject({ mmap: z.array(call), brk: z.array(call) }).nullable(),
  complete: z.boolean(),
  warnings: z.array(z.strictObject({ code: z.string(), message: z.string() })),
});

/** Page faults of a process by stack. Names are untrusted. */
export type AllocationStacks = Immutable<z.output<typeof stacksSchema>>;
export type FaultSum = AllocationStacks['anonymous'];
/** A stack, or without frames a function, and the new memory that it faulted in. */
export type StackSum = AllocationStacks['stacks'][number];
export type FunctionSum = AllocationStacks['functions'][number];
/** Address space requested by calls. */
export type SpaceSum = NonNullable<AllocationStacks['addressSpace']>['mmap'][number];
export type Frame = StackSum['frames'][number];
