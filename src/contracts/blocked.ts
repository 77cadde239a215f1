import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { TASK_STATES, WAIT_KINDS } from '../records/waits.js';
import { address, capturedSchema, count, kernelSchema, warningSchema } from './common.js';
import { objectSchema } from './object.js';
import { stackSchema } from './task-stacks.js';

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
  /** Least seconds that it has waited, by two samples of /proc; null: unknown, or from kernel memory. */
  leastSeconds: z.number().nullable(),
  /** Its id in each pid namespace, that of the reader first; empty: unknown, or from kernel memory. */
  nsPids: z.array(count),
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
  /**
   * `task`: `owner` has it. `not-recorded`: the kernel records none for this kind. `none`: its owner word names none.
   * `readers`: their number is known, they are not. `not-a-task`: the owner has exited, or its address is wrong.
   */
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
       * has an open handle of the journal’s transaction. `descriptor`: it has the locked file open.
       */
      by: z.enum(['last', 'stack', 'cpu', 'reader', 'handle', 'descriptor']),
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
  /** Of a file lock; null: another kind. */
  file: z
    .strictObject({
      /** As in /proc/locks: FLOCK, POSIX, OFDLCK, LEASE, …. */
      type: z.string(),
      /** A write lock; otherwise a read lock. */
      exclusive: z.boolean(),
      /** The process that requested it; null: the kernel records none (OFDLCK). */
      pid: count.nullable(),
      /** Device `major:minor`, and number of the inode. */
      device: z.string().nullable(),
      inode: z.string().nullable(),
      /** First and last byte; null: the end of the file. */
      from: count,
      to: count.nullable(),
      /** Null: unknown. */
      path: z.string().nullable(),
      /** Requests without a process. */
      unnamedWaiters: count,
    })
    .nullable(),
  /**
   * The file system, server or child (vfork) that the waiters wait for, from /proc; the owner is the FUSE server. Null: a lock, a device,
   * or unknown. Text is untrusted.
   */
  cause: z
    .strictObject({
      kind: z.enum(['frozen', 'fuse', 'nfs', 'vfork']),
      /** Device `major:minor`, mount point, type and source of the mount; null: unknown. */
      device: z.string().nullable(),
      path: z.string().nullable(),
      fileSystem: z.string().nullable(),
      source: z.string().nullable(),
      /** File of the first waiter. */
      file: z.string().nullable(),
      /** Process of the FUSE server. */
      server: count.nullable(),
    })
    .nullable(),
  /** Stack of the waiters according to /proc/PID/stack, innermost first; null: not readable, or from kernel memory. */
  trace: z.array(z.strictObject({ symbol: z.string(), offset: count, module: z.string().nullable() })).nullable(),
  /** Longest wait first; from /proc by pid. */
  waiters: z.array(task),
  /** `id` of the lock that its owner waits for; null: none. */
  waitsFor: count.nullable(),
});

/** `kdump-mem blocked --json`, version 1. Names (tasks, functions, modules) are as in the kernel. */
export const blockedSchema = z.strictObject({
  schema: z.literal('kdump-mem.blocked/1'),
  /** Null: from /proc. */
  kernel: kernelSchema.nullable(),
  /** `proc`: /proc of this machine or of a snapshot, which names no owner of a lock of the kernel. */
  source: z.enum(['vmcore', 'kcore', 'proc']),
  captured: capturedSchema,
  /** Longest wait first. */
  locks: z.array(lock),
  /** Deadlocks: the owner of each lock waits for the next one, that of the last for the first. */
  cycles: z.array(z.strictObject({ locks: z.array(count), pids: z.array(count) })),
  /** Each once, innermost function first. */
  stacks: z.array(stackSchema),
  /** Threads that wait. */
  blocked: count,
  /** All threads. */
  tasks: count,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type BlockedAnswer = Immutable<z.output<typeof blockedSchema>>;
export type BlockedJson = Immutable<z.input<typeof blockedSchema>>;
/** What tasks wait for. Text is untrusted, in all of these. */
export type BlockingLock = BlockedAnswer['locks'][number];
/** A thread that waits, or that others wait for. */
export type BlockedTask = BlockingLock['waiters'][number];
export type OwnerState = BlockingLock['ownerState'];
/** A task that may hold a lock whose owner is not recorded. */
export type Candidate = BlockingLock['candidates'][number];
/** The file system or block device that tasks wait for. */
export type BlockedDevice = NonNullable<BlockingLock['device']>;
/** What a lock of /proc/locks is for, and the process that requested it. */
export type LockedFile = NonNullable<BlockingLock['file']>;
/** Tasks that wait for each other. */
export type DeadlockCycle = BlockedAnswer['cycles'][number];
