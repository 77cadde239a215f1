import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { anew } from '../again.js';
import { changingListNodes } from '../list.js';
import { StructReader } from '../struct-reader.js';

/** A process, told by the leader of its threads; or one of its threads. */
export interface Task {
  /** Address of its `struct task_struct`. */
  readonly address: bigint;
  /** As the initial pid namespace numbers it; a thread's own id. */
  readonly pid: number;
  /** What its numbers say that cannot be; undefined: all agrees. */
  readonly anomaly?: string | undefined;
  /** At most 15 bytes; hostile. */
  readonly comm: string;
  /** Address of its `struct files_struct`, or 0n: one that is exiting has none. */
  readonly files: bigint;
  /** Address of its `struct signal_struct`, which its threads share. */
  readonly signal: bigint;
  /** It has no user memory and never had: a kernel thread (PF_KTHREAD, include/linux/sched.h). */
  readonly kernelThread: boolean;
}

/** A task as its own struct describes it. */
export interface ListedTask extends Task {
  /** `task_struct.flags`. */
  readonly flags: number;
  /** `task_struct.tgid`. */
  readonly group: number;
}

/** PID_MAX_LIMIT of 64-bit kernels, which no pid reaches (include/linux/threads.h). */
const MOST_PIDS = 2 ** 22;

/** include/linux/sched.h: it is exiting, and has let go of its memory and files or will. */
export const PF_EXITING = 0x4;
/** include/linux/sched.h */
export const PF_KTHREAD = 0x0020_0000;

/** Reads processes and their threads by the kernel's own lists: one of the two ways of {@link taskTable}. */
export class TaskReader {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #signal;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#task = new StructReader(kernel, 'task_struct', [
      ...['tasks', 'pid', 'tgid', 'comm', 'files', 'flags', 'signal', 'thread_node'],
    ] as const);
    this.#signal = new StructReader(kernel, 'signal_struct', ['thread_head']);
  }

  /**
   * Every process, in the order of the kernel's own list (`init_task.tasks`), the idle task left
   * out.
   *
   * @throws {TornList} or {@link ReadError} where the list cannot be followed any further
   */
  *processes(): Generator<ListedTask> {
    const init = this.#kernel.symbol('init_task');
    if (init === undefined) {
      throw new KernelError('no-symbols', 'tasks cannot be found (no symbol init_task)');
    }
    const offset = BigInt(this.#task.offset('tasks'));
    for (const node of changingListNodes(this.#kernel, init + offset)) {
      yield this.at(node - offset, true);
    }
  }

  /**
   * The threads of a process, its leader among them; throws as {@link processes}, and
   * {@link KernelError} `damaged` where the leader is not.
   */
  *threads(process: Task): Generator<ListedTask> {
    const offset = BigInt(this.#task.offset('thread_node'));
    let met = false;
    for (const node of this.#threadNodes(process)) {
      met ||= node - offset === process.address;
      yield this.at(node - offset, false);
    }
    if (met || this.#kernel.facts.live) return;
    throw new KernelError(
      'damaged',
      `task ${hex(process.address)} is not among the threads of its process`,
    );
  }

  *#threadNodes({ address, signal }: Task): Generator<bigint> {
    const head = signal + BigInt(this.#signal.offset('thread_head'));
    try {
      yield* changingListNodes(this.#kernel, head);
    } catch (error) {
      // It is cleared when a task is released (__exit_signal, kernel/exit.c): there are no threads then.
      const now = () => this.#task.read(address).pointer('signal');
      if (!this.#kernel.facts.live || anew(this.#kernel, now) === signal) throw error;
    }
  }

  /**
   * @param leads it is the leader of its threads, whose pid is that of the process
   * @throws {ReadError}
   */
  at(address: bigint, leads: boolean): ListedTask {
    const view = this.#task.read(address);
    const [pid, group] = [view.number('pid') | 0, view.number('tgid') | 0];
    // While a thread that is not the leader calls exec, a live kernel changes one after the other.
    const differ = leads && !this.#kernel.facts.live && pid !== group;
    const odd = !isPid(pid) || differ;
    const flags = view.number('flags');
    return {
      address,
      pid: isPid(pid) || !isPid(group) ? pid : group,
      anomaly: odd
        ? `task ${hex(address)} has an invalid pid or tgid (${pid}, ${group})`
        : undefined,
      comm: view.text('comm'),
      files: view.pointer('files'),
      signal: view.pointer('signal'),
      kernelThread: (flags & PF_KTHREAD) !== 0,
      flags,
      group,
    };
  }
}

/** The member of a task that leads to its `struct pid`. */
export type PidMember = 'thread_pid' | 'pids[0].pid';

/** Before 4.19 it lies among links of all kinds (PIDTYPE_PID is the first). */
export function pidMemberOf(kernel: Pick<Kernel, 'struct'>): PidMember {
  return kernel.struct('task_struct')?.member('thread_pid') ? 'thread_pid' : 'pids[0].pid';
}

/** Whether a process or a thread can have this number; that of the idle tasks is 0. */
export function isPid(pid: number): boolean {
  return pid > 0 && pid < MOST_PIDS;
}

/** Says of two processes that they cannot both have their pid. */
export function samePid(one: Task, other: Task): string {
  return `two processes have pid ${one.pid}: tasks ${hex(one.address)} and ${hex(other.address)}`;
}
