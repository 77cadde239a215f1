import { readOrNot } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpusThatRan, needSymbol, perCpuAddress } from '../cpus.js';

import { StructReader } from '../struct-reader.js';
import type { Task } from '../tasks/tasks.js';
import type { Warnings } from '../warnings.js';

const NANOSECONDS = 1e9;

/** A CPU's clock may be this many seconds (negative) ahead of the newest one that a run queue recorded. */
export const MAX_AHEAD = -1;

/** A CPU spends at most this many times more in interrupts and stolen time than in tasks. */
const MAX_STOLEN = 64n;

/**
 * Seconds since tasks last began to run (`sched_info.last_arrival`), by the newest clock of a run queue. A task that is
 * not running began its wait after that.
 */
export class WaitTimes {
  readonly #now: bigint | undefined;
  readonly #task: StructReader<'sched_info.last_arrival'> | undefined;
  readonly #warnings: Warnings;
  readonly #live: boolean;

  constructor(kernel: Kernel, warnings: Warnings) {
    this.#warnings = warnings;
    this.#live = kernel.facts.live;
    // Kernels without CONFIG_SCHED_INFO do not record it.
    this.#task = StructReader.ifPresent(kernel, 'task_struct', ['sched_info.last_arrival']);
    const rq = StructReader.ifPresent(kernel, 'rq', ['clock', 'clock_task']);
    if (this.#task === undefined || rq === undefined) return;
    const queues = needSymbol(kernel, 'runqueues');
    for (const cpu of cpusThatRan(kernel)) {
      const view = readOrNot(() => rq.read(perCpuAddress(kernel, queues, cpu)));
      if (view === undefined) continue;
      const [clock, ofTasks] = [view.pointer('clock'), view.pointer('clock_task')];
      // The second one excludes interrupts and stolen time (update_rq_clock_task() in kernel/sched/core.c).
      if (ofTasks > clock || clock > MAX_STOLEN * ofTasks)
        warnings.add('corrupt', `the run queue of CPU ${cpu} has a clock of ${clock} ns, and ${ofTasks} ns for tasks`);
      else if (this.#now === undefined || clock > this.#now) this.#now = clock;
    }
  }

  /** When a task last began to run, in nanoseconds; undefined: unknown. */
  arrivalOf({ address }: Task): bigint | undefined {
    return readOrNot(() => this.#task?.read(address).pointer('sched_info.last_arrival'));
  }

  /** Null: unknown. */
  of(task: Task): number | null {
    const { pid } = task;
    const began = this.arrivalOf(task);
    if (began === undefined || began === 0n || this.#now === undefined) return null;
    const seconds = Number(BigInt.asIntN(64, this.#now - began)) / NANOSECONDS;
    if (seconds >= 0) return seconds;
    if (seconds > MAX_AHEAD || this.#live) return 0;
    this.#warnings.add('corrupt', `pid ${pid} last began to run after the dump (sched_info)`);
    return null;
  }
}
