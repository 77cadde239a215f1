import { z } from 'zod';
import { KERNEL_ERROR_CODES, READ_ERROR_CODES } from '../../base/errors/kernel.js';
import { STACK_STOP_CODES } from '../../walk/stacks/stop.js';
import { TASK_STATES } from '../../walk/stacks/task-state.js';
import { kernelSchema, warningSchema } from '../schema.js';

/** `kdump-mem stacks --json`, version 1. Names (of tasks, functions, modules) are as the kernel has them. */

const count = z.int().nonnegative();

/** A function; a stack has them outermost last. */
export const frameSchema = z.strictObject({
  address: z.string().regex(/^0x[0-9a-f]{1,16}$/),
  /** Null: no symbol tells. */
  symbol: z.string().nullable(),
  /** Bytes from the symbol to the address. */
  offset: count.nullable(),
  /** Null: the kernel’s own code. */
  module: z.string().nullable(),
  /** It was interrupted at the address, or ran there; otherwise it returns to it. */
  interrupted: z.boolean(),
  /** No table of the kernel leads to it. */
  guess: z.boolean(),
});

/** Of `why`: its code, and the address that it is about; null: of a whole stack, and of a code without one. */
export const stopShape = {
  code: z.enum([...STACK_STOP_CODES, ...READ_ERROR_CODES, ...KERNEL_ERROR_CODES]).nullable(),
  at: z
    .string()
    .regex(/^0x[0-9a-f]{1,16}$/)
    .nullable(),
};

const task = z.strictObject({
  /** The thread’s own; 0: the idle task of a CPU. */
  pid: count,
  process: count,
  comm: z.string(),
  state: z.enum(TASK_STATES),
  /** The CPU that ran it; null: none did. */
  cpu: count.nullable(),
  /** Whose registers its stack is from; null: it did not run, or nobody noted any. */
  registers: z.enum(['crash_notes', 'note', 'qemu']).nullable(),
});

export const taskStacksSchema = z.strictObject({
  schema: z.literal('kdump-mem.task-stacks/1'),
  kernel: kernelSchema,
  /** What most threads share comes first. */
  stacks: z.array(
    z.strictObject({
      tasks: z.array(task),
      frames: z.array(frameSchema),
      /** `user`: called from user space. `first`: a kernel thread. `stopped`: `why` tells why it is not whole. */
      end: z.enum(['user', 'first', 'stopped']),
      why: z.string().nullable(),
      ...stopShape,
    }),
  ),
  tasks: count,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type TaskStacksJson = z.infer<typeof taskStacksSchema>;
