import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readClock } from '../machine/clock.js';
import { readPartOf } from '../named-read.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import type { Task } from '../tasks/tasks.js';

/** What a process is, beside its memory. */
export interface ProcessFacts {
  readonly uid: number;
  /** Its pid in each pid namespace, from the first one on to its own. */
  readonly nsPids: readonly number[];
  readonly threads: number;
  /** Since it began; undefined: the kernel's clock cannot be read. */
  readonly ageSeconds: number | undefined;
  readonly oomScoreAdj: number;
}

/** Namespaces within one another (MAX_PID_NS_LEVEL, kernel/pid_namespace.c). */
const MOST_LEVELS = 32;

/** Reads them; layouts as in include/linux/{sched,cred,pid}.h and sched/signal.h. */
export class ProcessFactReader {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #began: StructReader<'start_boottime'> | StructReader<'real_start_time'>;
  readonly #cred;
  readonly #signal;
  readonly #pid;
  readonly #number;
  #uptime: bigint | null | undefined;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#task = new StructReader(kernel, 'task_struct', ['cred', 'thread_pid']);
    // Before 5.5 by its older name.
    this.#began = kernel.struct('task_struct')?.member('start_boottime')
      ? new StructReader(kernel, 'task_struct', ['start_boottime'])
      : new StructReader(kernel, 'task_struct', ['real_start_time']);
    this.#cred = new StructReader(kernel, 'cred', ['uid.val']);
    this.#signal = new StructReader(kernel, 'signal_struct', ['nr_threads', 'oom_score_adj']);
    this.#pid = new StructReader(kernel, 'pid', ['level', 'numbers']);
    this.#number = new StructReader(kernel, 'upid', ['nr']);
  }

  /** @throws {ReadError}; {@link KernelError} `damaged` */
  read(process: Task): ProcessFacts {
    const view = this.#task.read(process.address);
    const signal = this.#signal.read(process.signal);
    return {
      uid: this.#cred.read(view.pointer('cred')).number('uid.val'),
      nsPids: this.#numbers(view.pointer('thread_pid'), process.pid),
      threads: signal.number('nr_threads'),
      ageSeconds: this.#age(process),
      oomScoreAdj: (signal.number('oom_score_adj') << 16) >> 16,
    };
  }

  /** `pid.numbers[0..level]`; the first is what the task itself says of its pid. */
  #numbers(pid: bigint, expected: number): number[] {
    const level = this.#pid.read(pid).number('level');
    if (level > MOST_LEVELS)
      throw new KernelError('damaged', `pid ${expected} claims ${level} namespaces`);
    const { size } = this.#number;
    const at = pid + BigInt(this.#pid.offset('numbers'));
    const view = readPartOf(this.#kernel, 'struct pid', pid, at, (level + 1) * size);
    const offset = this.#number.offset('nr');
    const numbers = Array.from({ length: level + 1 }, (_, index) =>
      view.getInt32(index * size + offset, true),
    );
    if (numbers[0] !== expected && !this.#kernel.facts.live)
      throw new KernelError('damaged', `pid ${expected} is ${numbers[0]} in its struct pid`);
    return numbers;
  }

  #age(process: Task): number | undefined {
    this.#uptime ??= this.#clock();
    if (this.#uptime === null) return undefined;
    const reader = this.#began as StructReader<string>;
    const [member = ''] = Object.keys(reader.members);
    const began = reader.read(process.address).pointer(member);
    const age = Number((this.#uptime - began) / 1_000_000_000n);
    return age < 0 ? 0 : age;
  }

  #clock(): bigint | null {
    try {
      return readOrNot(() => readClock(this.#kernel).uptime) ?? null;
    } catch (error) {
      if (error instanceof KernelError) return null;
      throw error;
    }
  }
}
