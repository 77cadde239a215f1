import { damaged, KernelError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { TASK_STATES, type TaskState } from '../../records/waits.js';
import { changingListNodes } from '../list.js';
import { readFresh } from '../live-reads.js';
import { StructReader } from '../struct-reader.js';

/** A process (its thread group leader), or one of its threads. */
export interface Task {
  /** Address of its `struct task_struct`. */
  readonly address: bigint;
  /** Pid in the initial pid namespace; for a thread, its thread id. */
  readonly pid: number;
  /** Impossible combination of its fields; undefined: none. */
  readonly anomaly?: string | undefined;
  /** At most 15 bytes; untrusted. */
  readonly comm: string;
  /** Address of its `struct files_struct`; 0n for an exiting task. */
  readonly files: bigint;
  /** Address of its `struct signal_struct`, shared by its threads. */
  readonly signal: bigint;
  /** Whether it is a kernel thread, which never had user memory (PF_KTHREAD, include/linux/sched.h). */
  readonly kernelThread: boolean;
}

/** A task according to its own struct. */
export interface ListedTask extends Task {
  /** `task_struct.flags`. */
  readonly flags: number;
  /** `task_struct.tgid`. */
  readonly group: number;
}

/** PID_MAX_LIMIT of 64-bit kernels; every pid is lower (include/linux/threads.h). */
const MAX_PIDS = 2 ** 22;

/** include/linux/sched.h: it is exiting, and has released its memory and files or will. */
export const PF_EXITING = 0x4;
/** Flag of kernel threads (include/linux/sched.h). */
export const PF_KTHREAD = 0x0020_0000;

/** Reads processes and their threads from the kernel's lists: one of the two sources of {@link taskTable}. */
export class TaskReader {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #signal;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#task = new StructReader(kernel, 'task_struct', [
      'tasks',
      'pid',
      'tgid',
      'comm',
      'files',
      'flags',
      'signal',
      'thread_node',
    ] as const);
    this.#signal = new StructReader(kernel, 'signal_struct', ['thread_head']);
  }

  /**
   * Yields every process except the idle task, in task list order (`init_task.tasks`).
   *
   * @throws {TornList} or {@link ReadError} where the list cannot be followed any further
   */
  *processes(): Generator<ListedTask> {
    const init = this.#kernel.symbol('init_task');
    if (init === undefined) {
      throw new KernelError('no-symbols', 'tasks cannot be found (no symbol init_task)');
    }
    for (const node of changingListNodes(this.#kernel, this.#task.addressOf(init, 'tasks'))) {
      yield this.at(this.#task.containerOf(node, 'tasks'), true);
    }
  }

  /**
   * Yields the threads of a process, including its leader.
   *
   * @throws as {@link processes}; {@link KernelError} `damaged` if the leader is missing
   */
  *threads(process: Task): Generator<ListedTask> {
    let met = false;
    for (const node of this.#threadNodes(process)) {
      const address = this.#task.containerOf(node, 'thread_node');
      met ||= address === process.address;
      yield this.at(address, false);
    }
    if (met || this.#kernel.facts.live) return;
    throw damaged(`task ${hex(process.address)} is not among the threads of its process`);
  }

  *#threadNodes({ address, signal }: Task): Generator<bigint> {
    const head = this.#signal.addressOf(signal, 'thread_head');
    try {
      yield* changingListNodes(this.#kernel, head);
    } catch (error) {
      // It is cleared when a task is released (__exit_signal, kernel/exit.c); the task then has no threads.
      const now = () => this.#task.read(address).pointer('signal');
      if (!this.#kernel.facts.live || readFresh(this.#kernel, now) === signal) throw error;
    }
  }

  /** @param leads whether it is the thread group leader, whose pid is that of the process */
  at(address: bigint, leads: boolean): ListedTask {
    const view = this.#task.read(address);
    const [pid, group] = [view.number('pid') | 0, view.number('tgid') | 0];
    // When a thread other than the leader calls exec, a live kernel changes pid and tgid one after the other.
    const differ = leads && !this.#kernel.facts.live && pid !== group;
    const odd = !isPid(pid) || differ;
    const flags = view.number('flags');
    return {
      address,
      pid: isPid(pid) || !isPid(group) ? pid : group,
      anomaly: odd ? `task ${hex(address)} has an invalid pid or tgid (${pid}, ${group})` : undefined,
      comm: view.text('comm'),
      files: view.pointer('files'),
      signal: view.pointer('signal'),
      kernelThread: (flags & PF_KTHREAD) !== 0,
      flags,
      group,
    };
  }
}

/** The member of a task that points to its `struct pid`. */
export type PidMember = 'thread_pid' | 'pids[0].pid';

/** Before 4.19 it is in an array of links (PIDTYPE_PID is the first). */
export function pidMemberOf(kernel: Pick<Kernel, 'struct'>): PidMember {
  return kernel.struct('task_struct')?.member('thread_pid') ? 'thread_pid' : 'pids[0].pid';
}

/** Whether a process or a thread can have this pid; idle tasks have 0. */
export function isPid(pid: number): boolean {
  return pid > 0 && pid < MAX_PIDS;
}

/** Message: two processes cannot have the same pid. */
export function duplicatePidMessage(task: Task, other: Task): string {
  return `two processes have pid ${task.pid}: tasks ${hex(task.address)} and ${hex(other.address)}`;
}

/** TASK_REPORT: the reported states. */
const REPORTED = 0x7f;
/** TASK_UNINTERRUPTIBLE and TASK_NOLOAD: the task sleeps without contributing to the load average. */
const IDLE = 0x402;
/**
 * TASK_RTLOCK_WAIT (5.15) and TASK_FROZEN (6.1): the task waits for a lock, or is frozen. Both are reported
 * as D.
 */
const WAITS = 0x9000;

/**
 * Returns the reported state of a task; EXIT_DEAD and EXIT_ZOMBIE are bits of `exit_state`, which `state`
 * does not contain.
 */
export function taskState(state: number, exitState: number): TaskState {
  if ((state & WAITS) !== 0) return 'D';
  if ((state & IDLE) === IDLE) return 'I';
  const bits = (state | exitState) & REPORTED;
  return TASK_STATES[bits === 0 ? 0 : 32 - Math.clz32(bits)] ?? 'R';
}
