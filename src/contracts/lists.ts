import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { address, count, kernelSchema, warningSchema } from './common.js';

/** Lists of `kdump-mem info`. Names and paths are copied from the kernel, and untrusted; null is unknown. */

const listShape = { kernel: kernelSchema, complete: z.boolean(), warnings: z.array(warningSchema) };

/** `kdump-mem info --modules --json`, version 1. */
export const modulesSchema = z.strictObject({
  schema: z.literal('kdump-mem.modules/1'),
  /** Last loaded first. */
  modules: z.array(
    z.strictObject({
      /** Address of its `struct module`. */
      address,
      name: z.string(),
      /** `enum module_state` (include/linux/module.h). */
      state: z.enum(['live', 'coming', 'going', 'unformed']).nullable(),
      /** Memory without init sections. */
      sizeBytes: count,
      /** Of these, code. */
      textBytes: count,
      /** As lsmod shows it; null: the kernel cannot unload modules. */
      references: count.nullable(),
      usedBy: z.array(z.string()),
      /** Letters of taint flags. */
      taints: z.array(z.string()),
    }),
  ),
  ...listShape,
});

export type ModulesAnswer = Immutable<z.output<typeof modulesSchema>>;

/** `kdump-mem info --mounts --json`, version 1. */
export const mountsSchema = z.strictObject({
  schema: z.literal('kdump-mem.mounts/1'),
  /** Inode number of the mount namespace. */
  namespace: count,
  /** In the kernel's order. */
  mounts: z.array(
    z.strictObject({
      /** Address of its `struct mount`. */
      address,
      id: count,
      superBlock: address,
      /** `major:minor`. */
      device: z.string(),
      fsType: z.string(),
      /** Such as `/dev/vda1`. */
      source: z.string().nullable(),
      path: z.string().nullable(),
      /** Without options of the file system's own. */
      options: z.array(z.string()),
    }),
  ),
  ...listShape,
});

export type MountsAnswer = Immutable<z.output<typeof mountsSchema>>;

/** `kdump-mem info --swap --json`, version 1. */
export const swapSchema = z.strictObject({
  schema: z.literal('kdump-mem.swap/1'),
  /** Highest priority first. */
  devices: z.array(
    z.strictObject({
      /** Address of its `struct swap_info_struct`. */
      address,
      path: z.string().nullable(),
      kind: z.enum(['partition', 'file']),
      sizeBytes: count,
      /** By the device's counter, `inuse_pages`. */
      usedBytes: count,
      /** By its map of slots. */
      usedSlotBytes: count.nullable(),
      priority: z.int(),
    }),
  ),
  ...listShape,
});

export type SwapAnswer = Immutable<z.output<typeof swapSchema>>;

/** `kdump-mem info --shared-memory --json`, version 1. */
export const sharedMemorySchema = z.strictObject({
  schema: z.literal('kdump-mem.shared-memory/1'),
  segments: z.array(
    z.strictObject({
      /** Address of its `struct shmid_kernel`. */
      address,
      id: z.int(),
      /** 0x0: IPC_PRIVATE. */
      key: address,
      uid: count,
      /** Octal, as in `ipcs`. */
      permissions: z.string().regex(/^[0-7]{3}$/),
      /** It is freed when the last process detaches it. */
      removed: z.boolean(),
      sizeBytes: count,
      attaches: count,
      /** Pids in the initial pid namespace; the processes may have exited. Null: unknown, or none. */
      creatorPid: count.nullable(),
      lastPid: count.nullable(),
      /** Of the last attach and detach. Null: never. */
      attachTime: z.iso.datetime().nullable(),
      detachTime: z.iso.datetime().nullable(),
      /** Null: a segment of huge pages. */
      residentBytes: count.nullable(),
      swapBytes: count.nullable(),
    }),
  ),
  ...listShape,
});

export type SharedMemoryAnswer = Immutable<z.output<typeof sharedMemorySchema>>;

/** `kdump-mem info --run-queues --json`, version 1. */
export const runQueuesSchema = z.strictObject({
  schema: z.literal('kdump-mem.run-queues/1'),
  cpus: z.array(
    z.strictObject({
      cpu: count,
      /** Running task; pid 0 is the idle task. */
      current: z.strictObject({ address, pid: count, comm: z.string() }),
      /** `rq.nr_running`. */
      running: count,
      /** Tasks on its lists, the running one included. */
      tasks: z.array(
        z.strictObject({
          address,
          pid: count,
          comm: z.string(),
          class: z.enum(['stop', 'deadline', 'realtime', 'fair', 'ext']),
          /** `task_struct.prio`: below 0 deadline, 0 to 99 real-time, 100 to 139 nice values -20 to 19. */
          priority: z.int(),
          /** Its group exceeded its quota: the task cannot run, and `running` does not count it. */
          throttled: z.boolean(),
        }),
      ),
    }),
  ),
  ...listShape,
});

export type RunQueuesAnswer = Immutable<z.output<typeof runQueuesSchema>>;

interface Lists {
  readonly modules: ModulesAnswer;
  readonly mounts: MountsAnswer;
  readonly swap: SwapAnswer;
  readonly 'shared-memory': SharedMemoryAnswer;
  readonly 'run-queues': RunQueuesAnswer;
}

export type ListName = keyof Lists;
export type ListAnswer<Name extends ListName> = Lists[Name];
