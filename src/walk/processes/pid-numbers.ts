import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { type PidMember, pidMemberOf, type Task } from '../tasks/tasks.js';

/** A pid in the pid namespace with this inode number, as `ls -l /proc/PID/ns/pid` shows it. */
export interface NamespacedPid {
  readonly namespace: number;
  readonly pid: number;
}

/** Namespaces within one another (MAX_PID_NS_LEVEL, kernel/pid_namespace.c). */
const MOST_LEVELS = 32;

/** Reads the numbers that a process has: `struct pid` (include/linux/pid.h), `task_struct.thread_pid`. */
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
   * One for each namespace, from the machine's first on. Each namespace says itself how deep it lies.
   *
   * @throws {ReadError}; {@link KernelError} `damaged`
   */
  read({ address, pid: expected }: Task): NamespacedPid[] {
    const pid = this.#task.read(address).pointer(this.#own);
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
