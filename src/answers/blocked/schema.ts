import { z } from 'zod';
import type { Immutable } from '../../base/util.js';
import { TASK_STATES } from '../../walk/tasks/tasks.js';
import { WAIT_KINDS } from '../../walk/waits/lock-state.js';
import { address, count, kernelSchema, warningSchema } from '../schema.js';
import { frameSchema, stopShape } from '../task-stacks/schema.js';
import { objectSchema } from '../whatis/schema.js';

const task = z.strictObject({
  /** The thread’s own; 0: the idle task of a CPU. */
  pid: count,
  process: count,
  comm: z.string(),
  state: z.enum(TASK_STATES),
  /** The CPU that ran it; null: none did. */
  cpu: count.nullable(),
  /** Seconds since it last began to run; null: unknown, or a CPU ran it. */
  seconds: z.number().nullable(),
  /** Kernel function that waits; null: unknown. */
  function: z.string().nullable(),
  /** Index in `stacks`; null: unreadable. */
  stack: count.nullable(),
});

const lock = z.strictObject({
  /** Its index in `locks`. */
  id: count,
  kind: z.enum(WAIT_KINDS),
  /**
   * Of the lock, wait queue, `struct page`, or word; of a futex in user space. Null: unknown, then tasks that wait in
   * one function are one entry.
   */
  address: address.nullable(),
  /** Of a page’s flags, or of a word; null: it is not a bit. */
  bit: count.nullable(),
  /** Symbol of a variable; null: it is part of another object, or unknown. */
  symbol: z.string().nullable(),
  /** What the lock is part of, as in `kdump-mem whatis`; null: unknown, or in user space. */
  object: objectSchema.nullable(),
  /** `not-a-task`: the owner has exited, or its address is wrong. */
  ownerState: z.enum(['task', 'not-recorded', 'none', 'readers', 'not-a-task', 'unknown']),
  owner: task.nullable(),
  /** Number of readers that hold it; null: it is not for readers. */
  readers: count.nullable(),
  /** Tasks that may hold a lock that does not record its owner. */
  candidates: z.array(
    z.strictObject({
      task,
      /**
       * `last`: it acquired the lock last. `stack`: its stack contains the address of the lock. `cpu`: its CPU has not
       * reported a quiescent state. `reader`: it was switched out in a read-side critical section of RCU. `handle`: it
       * has an open handle of the journal’s transaction.
       */
      by: z.enum(['last', 'stack', 'cpu', 'reader', 'handle']),
    }),
  ),
  /** The file system or block device that tasks wait for; null: none, or unknown. */
  device: z
    .strictObject({
      /** Type, such as `ext4`; null: a block device without one, or unknown. */
      fileSystem: z.string().nullable(),
      /** Of the disk or partition, or what the file system calls itself. */
      name: z.string().nullable(),
      /** `major:minor`. */
      number: z.string(),
      /** The file system, or the queue of the device. */
      frozen: z.boolean(),
      /** Requests with a tag; null: no block device, one that passes bios on (dm, md), or unreadable. */
      requests: z
        .strictObject({
          outstanding: count,
          /** Of these, the driver has them. */
          started: count,
          /** Seconds since the oldest began; null: none, or not recorded. */
          oldestSeconds: z.number().nullable(),
          /** Numbers of the hardware queues that have them. */
          hardwareQueues: z.array(count),
        })
        .nullable(),
    })
    .nullable(),
  /** Longest wait first. */
  waiters: z.array(task),
  /** `id` of the lock that its owner waits for; null: none. */
  waitsFor: count.nullable(),
});

/** `kdump-mem blocked --json`, version 1. Names (tasks, functions, modules) are as in the kernel. */
export const blockedSchema = z.strictObject({
  schema: z.literal('kdump-mem.blocked/1'),
  kernel: kernelSchema,
  /** Longest wait first. */
  locks: z.array(lock),
  /** Deadlocks: the owner of each lock waits for the next one, that of the last for the first. */
  cycles: z.array(z.strictObject({ locks: z.array(count), pids: z.array(count) })),
  /** Each once, innermost function first. */
  stacks: z.array(
    z.strictObject({
      frames: z.array(frameSchema),
      end: z.enum(['user', 'first', 'stopped']),
      why: z.string().nullable(),
      ...stopShape,
    }),
  ),
  /** Threads that wait. */
  blocked: count,
  /** All threads. */
  tasks: count,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type BlockedJson = Immutable<z.infer<typeof blockedSchema>>;
