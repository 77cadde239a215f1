import { z } from 'zod';

/**
 * `kdump-mem procs --stacks --json`, version 1. Sizes are bytes. Text (comm, symbols, modules) is as the
 * process has it: JSON escapes it.
 */

const count = z.int().nonnegative();

const frame = z.strictObject({
  /** Null: no symbol covers it. */
  symbol: z.string().nullable(),
  /** The file that is mapped there. */
  module: z.string(),
  /** Of a frame without a symbol its address in the module; null: stacks are added up by function. */
  offset: z.string().nullable(),
  /** The frame was not unwound, and may be none. */
  guess: z.boolean(),
});

const faults = z.strictObject({
  faults: count,
  /** Pages that were there after these faults. */
  bytes: count,
});

const kinds = {
  /** New memory of the process alone. */
  anonymous: faults,
  /** tmpfs, memfd, shared anonymous memory: new for who is the first to touch it. */
  shared: faults,
  hugetlb: faults,
};

/** Frames stand outermost last. */
const stack = z.strictObject({ frames: z.array(frame), newBytes: count, ...kinds });
const call = z.strictObject({ frames: z.array(frame), calls: count, bytes: count });

export const stacksSchema = z.strictObject({
  schema: z.literal('kdump-mem.stacks/1'),
  source: z.enum(['perf']),
  pid: z.int().positive(),
  comm: z.string(),
  seconds: z.number().nonnegative(),
  requestedSeconds: z.number().positive(),
  ended: z.enum(['time', 'interrupted', 'process-ended', 'size-limit']),
  /** One of so many minor faults was recorded; figures are what was recorded times this. */
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
  /** What brings most first. */
  functions: z.array(stack.omit({ frames: true }).extend({ frame: frame.nullable() })),
  stacks: z.array(stack),
  /** Calls that ask for address space; null: not recorded. */
  addressSpace: z.strictObject({ mmap: z.array(call), brk: z.array(call) }).nullable(),
  complete: z.boolean(),
  warnings: z.array(z.strictObject({ code: z.string(), message: z.string() })),
});

export type StacksJson = z.infer<typeof stacksSchema>;
