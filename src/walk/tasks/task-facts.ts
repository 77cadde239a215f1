import { KernelError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';

import { StructReader } from '../struct-reader.js';
import { type ListedTask, PF_EXITING, PF_KTHREAD, type PidMember, pidMemberOf, type Task } from './tasks.js';

/** The task was forked and has not called exec since; kernel threads never do (include/linux/sched.h). */
const PF_FORKNOEXEC = 0x40;

/** Results of comparing facts that exist in two places. */
export interface CheckedTasks {
  readonly faults: readonly string[];
  /** A task, corrected by the majority of facts. */
  corrected(task: ListedTask): Task;
  memory(task: Task): bigint;
}

/** Threads that are compared. */
type ThreadsOf = (process: Task) => readonly ListedTask[];

/**
 * Compares facts that the kernel stores twice, or in a task and in the objects it refers to. Data that the
 * dump lacks is not compared.
 */
export class TaskFacts {
  readonly #kernel: Kernel;
  readonly #mm: StructReader<'mm'>;
  readonly #pidMember: PidMember;
  readonly #thread: StructReader<PidMember> | undefined;
  readonly #parent: StructReader<'real_parent'> | undefined;
  readonly #stack: StructReader<'stack'> | undefined;
  readonly #active: StructReader<'active_mm'> | undefined;
  readonly #users: StructReader<'mm_users.counter'> | undefined;
  readonly #owner: StructReader<'owner'> | undefined;
  readonly #files: StructReader<'count.counter' | 'fdt'> | undefined;
  readonly #table: StructReader<'fd'> | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#mm = new StructReader(kernel, 'task_struct', ['mm']);
    this.#pidMember = pidMemberOf(kernel);
    this.#thread = ifKnown(kernel, 'task_struct', [this.#pidMember]);
    this.#parent = ifKnown(kernel, 'task_struct', ['real_parent']);
    this.#stack = ifKnown(kernel, 'task_struct', ['stack']);
    this.#active = ifKnown(kernel, 'task_struct', ['active_mm']);
    this.#users = ifKnown(kernel, 'mm_struct', ['mm_users.counter']);
    // Only with CONFIG_MEMCG.
    this.#owner = ifKnown(kernel, 'mm_struct', ['owner']);
    this.#files = ifKnown(kernel, 'files_struct', ['count.counter', 'fdt']);
    this.#table = ifKnown(kernel, 'fdtable', ['fd']);
  }

  /** Returns the `struct pid` that a task points to; undefined: unknown. */
  pidOf({ address }: Task): bigint | undefined {
    return readOrNot(() => this.#thread?.read(address).pointer(this.#pidMember));
  }

  /** @param processes thread group leaders */
  check(processes: readonly ListedTask[], threadsOf: ThreadsOf): CheckedTasks {
    const check = new Check(processes, threadsOf);
    this.#checkKinds(check);
    this.#checkMemory(check);
    this.#checkFiles(check);
    this.#checkStacks(check);
    return {
      faults: check.faults,
      corrected: (task) => {
        const kernelThread = check.isKernelThread(task);
        return kernelThread === task.kernelThread ? task : { ...task, kernelThread };
      },
      memory: ({ address }) => check.memories.get(address) ?? this.#mm.read(address).pointer('mm'),
    };
  }

  /**
   * Whether a task is a kernel thread, by its flags, parent, memory and files. Kernel threads are children of
   * kernel threads or of init_task, never call exec, and share the files of init_task.
   */
  #checkKinds(check: Check): void {
    const init = this.#kernel.symbol('init_task') ?? 0n;
    const ownFiles = readOrNot(() =>
      new StructReader(this.#kernel, 'task_struct', ['files']).read(init).pointer('files'),
    );
    for (const { process, threads } of check.groups) {
      const { address, pid, flags, files } = process;
      const parent = readOrNot(() => this.#parent?.read(address).pointer('real_parent'));
      const above = parent === undefined ? undefined : check.byAddress.get(parent);
      const isBelowKernel = parent === init || (above !== undefined && (above.flags & PF_KTHREAD) !== 0);
      const isBelowUser = above !== undefined && !isBelowKernel;
      const fault = (isKernelThread: boolean, why: string) => {
        const claim = process.kernelThread ? 'a kernel thread' : 'a user process';
        check.faults.push(`task_struct.flags make pid ${pid} ${claim}, but ${why}`);
        check.kinds.set(address, isKernelThread);
      };
      if (process.kernelThread) {
        if (isBelowUser) fault(false, `its real_parent, pid ${above.pid}, is not one`);
        else if ((flags & PF_FORKNOEXEC) === 0) fault(false, 'it has called exec (PF_FORKNOEXEC)');
      } else if ((flags & PF_EXITING) === 0) {
        const mm = readOrNot(() => this.#mm.read(address).pointer('mm'));
        // A user-mode helper has its own files, and no memory until exec.
        const isHelper = isBelowKernel && (flags & PF_FORKNOEXEC) !== 0 && files !== ownFiles;
        if (mm === 0n && files === ownFiles) fault(true, 'it has no task_struct.mm and shares the files of init_task');
        else if (files === ownFiles) check.faults.push(`pid ${pid} shares the files of init_task (task_struct.files)`);
        else if (files === 0n) check.faults.push(`pid ${pid} has no task_struct.files, but is not exiting`);
        if (isHelper) check.helpers.add(address);
      }
      for (const thread of threads)
        if (thread.kernelThread !== process.kernelThread)
          check.faults.push(
            `task_struct.flags of thread ${thread.pid} and of its process ${pid} are inconsistent (PF_KTHREAD)`,
          );
    }
  }

  /**
   * `active_mm` equals `mm` if there is one. A user task has an mm until it exits, and is among its users.
   */
  #checkMemory(check: Check): void {
    const users = new Map<bigint, ListedTask[]>();
    for (const { process, threads } of check.groups) {
      const isUser = !check.isKernelThread(process) && !check.helpers.has(process.address);
      for (const thread of threads) {
        const mm = this.#ownMemory(check, thread, threads, isUser);
        if (isUser && mm !== 0n) users.set(mm, [...(users.get(mm) ?? []), thread]);
      }
    }
    for (const [mm, tasks] of users)
      compareUsers(check, `mm_struct.mm_users at ${hex(mm)}`, tasks, () =>
        this.#users?.read(mm).number('mm_users.counter'),
      );
  }

  /** Returns the memory of a task; 0n if it has none or it is unknown. */
  #ownMemory(check: Check, { address, pid, flags }: ListedTask, group: readonly Task[], isUser: boolean): bigint {
    const mm = readOrNot(() => this.#mm.read(address).pointer('mm'));
    if (mm === undefined) return 0n;
    const active = readOrNot(() => this.#active?.read(address).pointer('active_mm'));
    const isExiting = (flags & PF_EXITING) !== 0;
    const isSound = mm === 0n ? isExiting || !isUser : mm === (active ?? mm);
    if (isSound) return mm;
    const says = mm === 0n ? 'is 0, but it is not exiting' : `is ${hex(mm)}`;
    const other = active === undefined ? 'unknown' : hex(active);
    check.faults.push(`task_struct.mm of pid ${pid} ${says}, but its active_mm is ${other}`);
    const isOwned = (address: bigint) => {
      const owner = address === 0n ? undefined : readOrNot(() => this.#owner?.read(address).pointer('owner'));
      return group.some((thread) => thread.address === owner);
    };
    const own = [mm, active ?? 0n].find(isOwned) ?? (mm === 0n ? (active ?? 0n) : mm);
    check.memories.set(address, own);
    return own;
  }

  /** Each task with a file table is among the table's users, and no two tables share an array. */
  #checkFiles(check: Check): void {
    const users = new Map<bigint, ListedTask[]>();
    for (const { process, threads } of check.groups)
      for (const thread of check.isKernelThread(process) ? [] : threads)
        if (thread.files !== 0n) users.set(thread.files, [...(users.get(thread.files) ?? []), thread]);
    const seen = new Map<bigint, bigint>();
    const shared = (files: bigint, address: bigint | undefined, what: string) => {
      const other = address === undefined ? undefined : seen.get(address);
      if (other !== undefined)
        check.faults.push(`files_structs ${hex(other)} and ${hex(files)} share the ${what} at ${hex(address ?? 0n)}`);
      else if (address !== undefined) seen.set(address, files);
    };
    for (const [files, tasks] of users) {
      const view = readOrNot(() => this.#files?.read(files));
      if (view === undefined) continue;
      compareUsers(check, `files_struct.count at ${hex(files)}`, tasks, () => view.number('count.counter'));
      const fdt = view.pointer('fdt');
      shared(files, fdt, 'fdtable');
      shared(
        files,
        readOrNot(() => this.#table?.read(fdt).pointer('fd')),
        'array of files',
      );
    }
  }

  #checkStacks(check: Check): void {
    const seen = new Map<bigint, ListedTask>();
    for (const { threads } of check.groups)
      for (const thread of threads) {
        const stack = readOrNot(() => this.#stack?.read(thread.address).pointer('stack'));
        // An exited task has released its own.
        if (stack === undefined || stack === 0n) continue;
        const other = seen.get(stack);
        if (other)
          check.faults.push(
            `pid ${other.pid} and pid ${thread.pid} share a kernel stack (task_struct.stack) at ${hex(stack)}`,
          );
        seen.set(stack, thread);
      }
  }
}

/** A comparison, and its results. */
class Check {
  readonly faults: string[] = [];
  readonly groups: readonly { process: ListedTask; threads: readonly ListedTask[] }[];
  readonly byAddress = new Map<bigint, ListedTask>();
  /** Whether a leader is a kernel thread, for leaders whose flags are inconsistent with other facts. */
  readonly kinds = new Map<bigint, boolean>();
  /** Leaders of user-mode helpers, which may have no memory yet. */
  readonly helpers = new Set<bigint>();
  /** Memory by task, where two facts are inconsistent. */
  readonly memories = new Map<bigint, bigint>();
  readonly #leaders = new Map<bigint, ListedTask>();

  constructor(processes: readonly ListedTask[], threadsOf: ThreadsOf) {
    this.groups = processes.map((process) => ({ process, threads: threadsOf(process) }));
    for (const { process, threads } of this.groups)
      for (const thread of threads) {
        this.byAddress.set(thread.address, thread);
        this.#leaders.set(thread.address, process);
      }
  }

  isKernelThread(task: ListedTask): boolean {
    const leader = this.#leaders.get(task.address) ?? task;
    return this.kinds.get(leader.address) ?? leader.kernelThread;
  }
}

/** Compares the number of users with a counter, which may be higher but never lower. */
function compareUsers(check: Check, what: string, tasks: readonly Task[], read: () => number | undefined): void {
  const counted = readOrNot(read);
  if (counted === undefined || counted >= tasks.length) return;
  const pids = tasks.slice(0, 2).map(({ pid }) => pid);
  check.faults.push(`${what} is ${counted}, but ${tasks.length} tasks use it, such as pid ${pids.join(' and ')}`);
}

/** Returns a reader of members; undefined if the kernel lacks one of them. */
function ifKnown<Path extends string>(
  kernel: Kernel,
  name: string,
  paths: readonly Path[],
): StructReader<Path> | undefined {
  try {
    return new StructReader(kernel, name, paths);
  } catch (error) {
    if (error instanceof KernelError && error.code === 'unsupported-layout') return undefined;
    throw error;
  }
}
