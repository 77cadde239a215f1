import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, cpusThatRan, needSymbol, perCpuAddress, runningTask } from '../cpus.js';
import { readFresh } from '../live-reads.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';
import type { Task } from '../tasks/tasks.js';
import { addError, type Warnings } from '../warnings.js';
import { type CpuRegisters, cpuRegisters } from './registers.js';

/** The task that each CPU ran: `rq.curr`, checked against saved registers and the tasks' `on_cpu`. */
export class RunningTasks {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #onCpu: StructReader<'on_cpu'>;
  readonly #possible: readonly number[];
  /** CPU by the address of the task that it ran. */
  readonly #running = new Map<bigint, number>();
  /**
   * Pids in saved registers, by CPU, where `rq.curr` is another task: __schedule sets `rq.curr` before it
   * switches stacks.
   */
  readonly #switchingPids = new Map<number, number>();
  #pidsOnCpu: Set<number> | undefined;

  /** @throws {KernelError} if the kernel has different structs; {@link ReadError} */
  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    this.#onCpu = new StructReader(kernel, 'task_struct', ['on_cpu']);
    this.#possible = cpuMask(kernel, '__cpu_possible_mask');
    for (const cpu of cpusThatRan(kernel)) {
      try {
        const { address, pid } = runningTask(kernel, cpu);
        const other = this.#running.get(address);
        if (other !== undefined && !this.#migrated(other, cpu))
          warnings.add(
            kernel.facts.live ? 'torn-list' : 'corrupt',
            `CPUs ${other} and ${cpu} both run the same task, pid ${pid}`,
          );
        this.#running.set(address, cpu);
        const noted = this.registers(cpu)?.pid;
        if (noted === undefined || noted === pid) continue;
        if (this.#isOnCpu(noted, cpu)) {
          this.#switchingPids.set(cpu, noted);
          warnings.add('torn-list', `CPU ${cpu} was switching from pid ${noted} to pid ${pid}`);
        } else {
          const message = `saved registers are those of pid ${noted}, but CPU ${cpu} ran pid ${pid}`;
          warnings.add('corrupt', message);
        }
      } catch (error) {
        addError(warnings, `the task on CPU ${cpu}`, error);
      }
    }
  }

  /**
   * Whether a task of a running kernel migrated between two reads, so that the CPU that it left runs another
   * task now.
   */
  #migrated(left: number, cpu: number): boolean {
    if (!this.#kernel.facts.live) return false;
    const [before, now] = readFresh(this.#kernel, () =>
      [left, cpu].map((one) => runningTask(this.#kernel, one).address),
    );
    if (before === undefined || before === now) return false;
    this.#running.set(before, left);
    return true;
  }

  /** CPUs whose task is known. */
  get cpus(): ReadonlySet<number> {
    return new Set(this.#running.values());
  }

  /** Returns the registers of a CPU; undefined if they were not saved. @throws {ReadError} */
  registers(cpu: number): CpuRegisters | undefined {
    return cpuRegisters(this.#kernel, cpu, this.#possible);
  }

  /** Returns the address of a CPU's idle task (`rq.idle`). @throws {ReadError} */
  idleTask(cpu: number): bigint {
    const rq = new StructReader(this.#kernel, 'rq', ['idle']);
    const queue = perCpuAddress(this.#kernel, needSymbol(this.#kernel, 'runqueues'), cpu);
    return rq.read(queue).pointer('idle');
  }

  /**
   * Returns the CPU that ran a task according to its registers: a CPU that was switching had not reached the
   * next task yet.
   *
   * @param own the CPU of which it is the idle task
   */
  cpuOf({ address, pid }: Task, own: number | undefined): number | undefined {
    const cpu = this.#running.get(address);
    if (cpu !== undefined && !this.#switchingPids.has(cpu)) return cpu;
    // Each CPU has its own idle task, with pid 0.
    if (own !== undefined) return this.#switchingPids.get(own) === 0 ? own : undefined;
    return [...this.#switchingPids].find(([, noted]) => noted === pid)?.[0];
  }

  /**
   * Compares `on_cpu` with the CPU: it is set before the CPU switches to the task, and cleared after it has
   * switched away.
   *
   * @throws {ReadError}
   */
  check({ address, pid }: Task, cpu: number | undefined): void {
    if (this.#kernel.facts.live || this.#says(address) === (cpu !== undefined)) return;
    const next = this.#running.get(address);
    // A CPU that was switching tasks already has a warning.
    if (cpu === undefined && next !== undefined && this.#switchingPids.has(next)) return;
    if (cpu === undefined)
      this.#warnings.add(
        'torn-list',
        `a CPU was still leaving the task, or its on_cpu is wrong: pid ${pid}`,
      );
    else this.#warnings.add('corrupt', `on_cpu and the run queue are inconsistent: pid ${pid}`);
  }

  /** Whether a task is on a CPU by its own fields. @param cpu of the idle task, which has pid 0 */
  #isOnCpu(pid: number, cpu: number): boolean {
    if (pid === 0) return this.#says(this.idleTask(cpu));
    if (this.#pidsOnCpu === undefined) {
      this.#pidsOnCpu = new Set();
      const { processes, threads } = taskTable(this.#kernel);
      for (const process of processes)
        for (const thread of threads(process))
          if (this.#says(thread.address)) this.#pidsOnCpu.add(thread.pid);
    }
    return this.#pidsOnCpu.has(pid);
  }

  #says(task: bigint): boolean {
    return this.#onCpu.read(task).number('on_cpu') !== 0;
  }
}
