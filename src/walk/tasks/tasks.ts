import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { WalkError } from '../error.js';
import { listNodes } from '../list.js';
import { StructReader } from '../struct-reader.js';

/** A process, told by the leader of its threads; or one of its threads. */
export interface Task {
  /** Address of its `struct task_struct`. */
  readonly address: bigint;
  /** As the initial pid namespace numbers it; a thread's own id. */
  readonly pid: number;
  /** At most 15 bytes; hostile. */
  readonly comm: string;
  /** Address of its `struct files_struct`, or 0n: one that is exiting has none. */
  readonly files: bigint;
  /** Address of its `struct signal_struct`, which its threads share. */
  readonly signal: bigint;
  /** It has no user memory and never had: a kernel thread (PF_KTHREAD, include/linux/sched.h). */
  readonly kernelThread: boolean;
}

const PF_KTHREAD = 0x0020_0000;

/** Reads processes and their threads. */
export class TaskReader {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #signal;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#task = new StructReader(kernel, 'task_struct', [
      ...['tasks', 'pid', 'comm', 'files', 'flags', 'signal', 'thread_node'],
    ] as const);
    this.#signal = new StructReader(kernel, 'signal_struct', ['thread_head']);
  }

  /**
   * Every process, in the order of the kernel's own list (`init_task.tasks`), the idle task left
   * out.
   *
   * @throws {TornList} or {@link ReadError} where the list cannot be followed any further
   */
  *processes(): Generator<Task> {
    const init = this.#kernel.symbol('init_task');
    if (init === undefined) {
      throw new KernelError('no-symbols', 'the symbol init_task is missing, which leads to tasks');
    }
    const offset = BigInt(this.#task.offset('tasks'));
    for (const node of listNodes(this.#kernel, init + offset)) yield this.#read(node - offset);
  }

  /** The threads of a process, its leader among them; throws as {@link processes}. */
  *threads(process: Task): Generator<Task> {
    const offset = BigInt(this.#task.offset('thread_node'));
    const head = process.signal + BigInt(this.#signal.offset('thread_head'));
    for (const node of listNodes(this.#kernel, head)) yield this.#read(node - offset);
  }

  #read(address: bigint): Task {
    const view = this.#task.read(address);
    return {
      address,
      pid: view.number('pid'),
      comm: view.text('comm'),
      files: view.pointer('files'),
      signal: view.pointer('signal'),
      kernelThread: (view.number('flags') & PF_KTHREAD) !== 0,
    };
  }
}

/**
 * @throws {WalkError} `no-such-pid`, telling the process if `pid` is the id of one of its threads;
 *   and as {@link TaskReader.processes}
 */
export function findTask(kernel: Kernel, pid: number): Task {
  const reader = new TaskReader(kernel);
  const all: Task[] = [];
  for (const task of reader.processes()) {
    if (task.pid === pid) return task;
    all.push(task);
  }
  for (const process of all) {
    for (const thread of reader.threads(process)) {
      if (thread.pid !== pid) continue;
      const message = `pid ${pid} is a thread of process ${process.pid}; ask for --pid ${process.pid}`;
      throw new WalkError('no-such-pid', message);
    }
  }
  throw new WalkError(
    'no-such-pid',
    `there is no process ${pid} among the ${all.length} of this kernel`,
  );
}
