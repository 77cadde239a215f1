import { damaged, KernelError, ReadError, WalkError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';
import { type PidMember, pidMemberOf, type Task } from '../tasks/tasks.js';

/** A pid in the pid namespace with this inode number, as `ls -l /proc/PID/ns/pid` shows it. */
export interface NamespacedPid {
  readonly namespace: number;
  readonly pid: number;
}

/** Maximum nesting of pid namespaces (MAX_PID_NS_LEVEL, kernel/pid_namespace.c). */
const MOST_LEVELS = 32;

/**
 * Reads the pid of a process in each pid namespace: `struct pid` (include/linux/pid.h),
 * `task_struct.thread_pid`.
 */
export class PidNumberReader {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #own: PidMember;
  readonly #pid;
  readonly #number;
  readonly #namespace;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#own = pidMemberOf(kernel);
    this.#task = new StructReader(kernel, 'task_struct', [this.#own]);
    this.#pid = new StructReader(kernel, 'pid', ['level', 'numbers']);
    this.#number = new StructReader(kernel, 'upid', ['nr', 'ns']);
    this.#namespace = new StructReader(kernel, 'pid_namespace', ['ns.inum', 'level']);
  }

  /**
   * One for each namespace, from the machine's first on. Each namespace records its own depth.
   *
   * @throws {ReadError}; {@link KernelError} `damaged`
   */
  read({ address, pid: expected }: Task): NamespacedPid[] {
    const pid = this.#task.read(address).pointer(this.#own);
    const level = this.#pid.read(pid).number('level');
    if (level > MOST_LEVELS) throw damaged(`pid ${expected} claims ${level} namespaces`);
    const { size } = this.#number;
    const at = this.#pid.addressOf(pid, 'numbers');
    const view = readPartOf(this.#kernel, 'struct pid', pid, at, (level + 1) * size);
    const numbers = Array.from({ length: level + 1 }, (_, index) => {
      const own = index * size;
      const address = view.getBigUint64(own + this.#number.offset('ns'), true);
      const namespace = this.#namespace.read(address);
      if (namespace.number('level') !== index)
        throw damaged(`the pid namespaces of pid ${expected} contradict each other`);
      return {
        namespace: namespace.number('ns.inum'),
        pid: view.getInt32(own + this.#number.offset('nr'), true),
      };
    });
    if (numbers[0]?.pid !== expected && !this.#kernel.facts.live)
      throw damaged(`pid ${expected} is ${numbers[0]?.pid} in its struct pid`);
    return numbers;
  }
}

/**
 * The global pid of a process with another pid in a pid namespace, its own or an enclosing one.
 *
 * @throws {WalkError} `no-such-pid`: none has it; {@link KernelError} `damaged`: two have it; the error of
 * reading a process, if no readable one has it
 */
export function findInPidNamespace(kernel: Kernel, { namespace, pid }: NamespacedPid): number {
  const reader = new PidNumberReader(kernel);
  const found: number[] = [];
  let unread: unknown;
  let known = false;
  for (const task of taskTable(kernel).processes) {
    try {
      const numbers = reader.read(task).filter((each) => each.namespace === namespace);
      known ||= numbers.length > 0;
      if (numbers.some((each) => each.pid === pid)) found.push(task.pid);
    } catch (error) {
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
      unread ??= error;
    }
  }
  const [first, ...others] = found;
  if (others.length > 0)
    throw damaged(
      `pid namespace ${namespace} has more than one pid ${pid}: pid ${found.join(', ')}`,
    );
  if (first !== undefined) return first;
  if (unread !== undefined) throw unread;
  throw notThere({ namespace, pid }, known);
}

/** @param known whether any process is in that namespace */
export function notThere({ namespace, pid }: NamespacedPid, known: boolean): WalkError {
  const message = known
    ? `no process has pid ${pid} in pid namespace ${namespace}`
    : `no process is in a pid namespace ${namespace}: its number is that of /proc/PID/ns/pid`;
  return new WalkError('no-such-pid', message);
}
