import { z } from 'zod';
import { KERNEL_ERROR_CODES, READ_ERROR_CODES } from '../base/errors.js';
import type { Immutable } from '../base/util.js';
import { STACK_STOP_CODES } from '../records/stacks.js';
import { TASK_STATES } from '../records/waits.js';
import { address, count, kernelSchema, warningSchema } from './common.js';

/** A function; a stack has them outermost last. */
const frameSchema = z.strictObject({
  address,
  /** Null: no symbol matches. */
  symbol: z.string().nullable(),
  /** Bytes from the symbol to the address. */
  offset: count.nullable(),
  /** Null: the kernel’s own code. */
  module: z.string().nullable(),
  /** Interrupted or running at the address; otherwise it is a return address. */
  interrupted: z.boolean(),
  /** No table of the kernel leads to it. */
  guess: z.boolean(),
});

export const stackSchema = z.strictObject({
  frames: z.array(frameSchema),
  /** `user`: called from user space. `first`: a kernel thread. `stopped`: incomplete, `why` has the reason. */
  end: z.enum(['user', 'first', 'stopped']),
  why: z.string().nullable(),
  /** Code of `why`, and its address; null for a complete stack, and for a code without one. */
  code: z.enum([...STACK_STOP_CODES, ...READ_ERROR_CODES, ...KERNEL_ERROR_CODES]).nullable(),
  at: address.nullable(),
});

const task = z.strictObject({
  /** The thread’s own; 0: the idle task of a CPU. */
  pid: count,
  process: count,
  comm: z.string(),
  state: z.enum(TASK_STATES),
  /** The CPU that ran it; null: none did. */
  cpu: count.nullable(),
  /** Source of the registers; null: it did not run, or none were saved. */
  registers: z.enum(['crash_notes', 'note', 'qemu']).nullable(),
});

/** `kdump-mem stacks --json`, version 1. Names (tasks, functions, modules) are as in the kernel. */
export const taskStacksSchema = z.strictObject({
  schema: z.literal('kdump-mem.task-stacks/1'),
  kernel: kernelSchema,
  /** A panicking task, then others that CPUs were running, then by number of threads. Tasks are sorted by pid. */
  stacks: z.array(z.strictObject({ tasks: z.array(task), ...stackSchema.shape })),
  tasks: count,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

/** Names are untrusted. */
export type NamedFrame = Immutable<z.output<typeof frameSchema>>;
export type Stack = Immutable<z.output<typeof stackSchema>>;
export type StacksAnswer = Immutable<z.output<typeof taskStacksSchema>>;
/** Threads with the same stack trace. */
export type StackGroup = StacksAnswer['stacks'][number];
/** A thread that has this stack. */
export type StackOwner = StackGroup['tasks'][number];
export type TaskStacksJson = Immutable<z.input<typeof taskStacksSchema>>;
