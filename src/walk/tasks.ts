import { KernelError } from '../kernel/error.js';
import type { Kernel } from '../kernel/kernel.js';
import { WalkError } from './error.js';
import { listNodes } from './list.js';
import { StructReader } from './struct-reader.js';

/** A process: the leader of its threads, which share its files. */
export interface Task {
  /** Address of its `struct task_struct`. */
  readonly address: bigint;
  /** As the initial pid namespace numbers it. */
  readonly pid: number;
  /** At most 15 bytes; hostile. */
  readonly comm: string;
  /** Address of its `struct files_struct`, or 0n: a process that is exiting has none. */
  readonly files: bigint;
  /** It has no user memory and never had: a kernel thread (PF_KTHREAD, include/linux/sched.h). */
  readonly kernelThread: boolean;
}

const PF_KTHREAD = 0x0020_0000;

/**
 * Every process, in the order of the kernel's own list (`init_task.tasks`), the idle task left out.
 *
 * @throws {TornList} or {@link ReadError} where the list cannot be followed any further.
 */
export function* tasks(kernel: Kernel): Generator<Task> {
  const reader = taskReader(kernel);
  const init = kernel.symbol('init_task');
  if (init === undefined) {
    throw new KernelError(
      'no-symbols',
      'the symbol init_task is missing, so tasks cannot be found',
    );
  }
  const tasksOffset = BigInt(reader.offset('tasks'));
  for (const node of listNodes(kernel, init + tasksOffset)) {
    yield readTask(reader, node - tasksOffset);
  }
}

/**
 * @throws {WalkError} `no-such-pid`, telling the process if `pid` is the id of one of its threads.
 */
export function findTask(kernel: Kernel, pid: number): Task {
  const all: Task[] = [];
  for (const task of tasks(kernel)) {
    if (task.pid === pid) return task;
    all.push(task);
  }
  const leader = all.find((task) => threadIds(kernel, task).includes(pid));
  throw new WalkError(
    'no-such-pid',
    leader
      ? `pid ${pid} is a thread of process ${leader.pid}; ask for --pid ${leader.pid}`
      : `there is no process ${pid} among the ${all.length} of this kernel`,
  );
}

/** Ids of a process's threads, its own among them; those that cannot be followed are left out. */
function threadIds(kernel: Kernel, task: Task): number[] {
  const reader = new StructReader(kernel, 'task_struct', ['signal', 'thread_node', 'pid']);
  const signal = new StructReader(kernel, 'signal_struct', ['thread_head']);
  const offset = BigInt(reader.offset('thread_node'));
  const head = reader.read(task.address).pointer('signal') + BigInt(signal.offset('thread_head'));
  return Array.from(listNodes(kernel, head), (node) => reader.read(node - offset).number('pid'));
}

function taskReader(kernel: Kernel) {
  return new StructReader(kernel, 'task_struct', ['tasks', 'pid', 'comm', 'files', 'flags']);
}

function readTask(reader: ReturnType<typeof taskReader>, address: bigint): Task {
  const view = reader.read(address);
  return {
    address,
    pid: view.number('pid'),
    comm: view.text('comm'),
    files: view.pointer('files'),
    kernelThread: (view.number('flags') & PF_KTHREAD) !== 0,
  };
}
