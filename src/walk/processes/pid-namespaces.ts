import { KernelError, ReadError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { WalkError } from '../error.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { type Task, TaskReader } from '../tasks/tasks.js';

/** A pid in the pid namespace with this inode number, as `ls -l /proc/PID/ns/pid` shows it. */
export interface NamespacedPid {
  readonly namespace: number;
  readonly pid: number;
}

/** Namespaces within one another (MAX_PID_NS_LEVEL, kernel/pid_namespace.c). */
const MOST_LEVELS = 32;

/** Reads the numbers that a process has: `struct pid` (include/linux/pid.h), `task_struct.thread_pid`. */
class PidNumberReader {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #pid;
  readonly #number;
  readonly #namespace;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#task = new StructReader(kernel, 'task_struct', ['thread_pid']);
    this.#pid = new StructReader(kernel, 'pid', ['level', 'numbers']);
    this.#number = new StructReader(kernel, 'upid', ['nr', 'ns']);
    this.#namespace = new StructReader(kernel, 'pid_namespace', ['ns.inum', 'level']);
  }

  /**
   * One for each namespace, from the machine's first on. Each namespace says itself how deep it lies.
   *
   * @throws {ReadError}; {@link KernelError} `damaged`
   */
  read({ address, pid: expected }: Task): NamespacedPid[] {
    const pid = this.#task.read(address).pointer('thread_pid');
    const level = this.#pid.read(pid).number('level');
    if (level > MOST_LEVELS)
      throw new KernelError('damaged', `pid ${expected} claims ${level} namespaces`);
    const { size } = this.#number;
    const at = pid + BigInt(this.#pid.offset('numbers'));
    const view = readPartOf(this.#kernel, 'struct pid', pid, at, (level + 1) * size);
    const numbers = Array.from({ length: level + 1 }, (_, index) => {
      const own = index * size;
      const address = view.getBigUint64(own + this.#number.offset('ns'), true);
      const namespace = this.#namespace.read(address);
      if (namespace.number('level') !== index)
        throw new KernelError(
          'damaged',
          `the pid namespaces of pid ${expected} contradict each other`,
        );
      return {
        namespace: namespace.number('ns.inum'),
        pid: view.getInt32(own + this.#number.offset('nr'), true),
      };
    });
    if (numbers[0]?.pid !== expected && !this.#kernel.facts.live)
      throw new KernelError('damaged', `pid ${expected} is ${numbers[0]?.pid} in its struct pid`);
    return numbers;
  }
}

/**
 * The machine's number of a process that has another in a pid namespace, its own or one around that.
 *
 * @throws {WalkError} `no-such-pid`: none has it; {@link KernelError} `damaged`: two have it; and what kept us
 *   from reading a process, where none of those that were read has it
 */
export function findInPidNamespace(kernel: Kernel, { namespace, pid }: NamespacedPid): number {
  const reader = new PidNumberReader(kernel);
  const found: number[] = [];
  let unread: unknown;
  let known = false;
  for (const task of new TaskReader(kernel).processes()) {
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
    throw new KernelError(
      'damaged',
      `pid namespace ${namespace} has more than one pid ${pid}: pid ${found.join(', ')}`,
    );
  if (first !== undefined) return first;
  if (unread !== undefined) throw unread;
  throw notThere({ namespace, pid }, known);
}

/** @param known some process is in that namespace */
export function notThere({ namespace, pid }: NamespacedPid, known: boolean): WalkError {
  const message = known
    ? `no process has pid ${pid} in pid namespace ${namespace}`
    : `no process is in a pid namespace ${namespace}: its number is that of /proc/PID/ns/pid`;
  return new WalkError('no-such-pid', message);
}
