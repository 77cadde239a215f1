import type { Kernel } from '../../kernel/kernel.js';
import { incompleteness } from '../incompleteness.js';
import { cpuMask, cpusThatRan, needSymbol, perCpuAddress, runningTask } from '../machine/cpus.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';
import type { Task } from '../tasks/tasks.js';
import type { Warnings } from '../warnings.js';
import { type CpuRegisters, cpuRegisters } from './registers.js';

/** Which task each CPU ran: `rq.curr`, held against who noted its registers, and `on_cpu` of tasks. */
export class WhoRan {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #onCpu: StructReader<'on_cpu'>;
  readonly #possible: readonly number[];
  /** CPUs by the task that each ran. */
  readonly #running = new Map<bigint, number>();
  /** Pids that CPUs noted where `rq.curr` is another: __schedule sets that first, and changes stacks then. */
  readonly #leaving = new Map<number, number>();
  #pidsOnCpu: Set<number> | undefined;

  /** @throws {KernelError} where the kernel has other structs; {@link ReadError} */
  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    this.#onCpu = new StructReader(kernel, 'task_struct', ['on_cpu']);
    this.#possible = cpuMask(kernel, '__cpu_possible_mask');
    for (const cpu of cpusThatRan(kernel)) {
      try {
        const { address, pid } = runningTask(kernel, cpu);
        const other = this.#running.get(address);
        if (other !== undefined)
          warnings.add(
            kernel.facts.live ? 'torn-list' : 'corrupt',
            `CPUs ${other} and ${cpu} both run the same task, pid ${pid}`,
          );
        this.#running.set(address, cpu);
        const noted = this.registers(cpu)?.pid;
        if (noted === undefined || noted === pid) continue;
        if (this.#isOnCpu(noted, cpu)) {
          this.#leaving.set(cpu, noted);
          warnings.add('torn-list', `CPU ${cpu} was switching from pid ${noted} to pid ${pid}`);
        } else {
          const message = `saved registers are those of pid ${noted}, but CPU ${cpu} ran pid ${pid}`;
          warnings.add('corrupt', message);
        }
      } catch (error) {
        warnings.add(incompleteness(error), `the task on CPU ${cpu}: ${(error as Error).message}`);
      }
    }
  }

  /** CPUs whose task is known. */
  get cpus(): ReadonlySet<number> {
    return new Set(this.#running.values());
  }

  /** Undefined where nobody noted them. @throws {ReadError} */
  registers(cpu: number): CpuRegisters | undefined {
    return cpuRegisters(this.#kernel, cpu, this.#possible);
  }

  /** Each CPU's own task for when nobody else wants it (`rq.idle`). @throws {ReadError} */
  idleTask(cpu: number): bigint {
    const rq = new StructReader(this.#kernel, 'rq', ['idle']);
    const queue = perCpuAddress(this.#kernel, needSymbol(this.#kernel, 'runqueues'), cpu);
    return rq.read(queue).pointer('idle');
  }

  /**
   * The CPU that ran a task, as its registers tell: one that changed tasks had not come to the next yet.
   *
   * @param own the CPU whose idle task it is
   */
  cpuOf({ address, pid }: Task, own: number | undefined): number | undefined {
    const cpu = this.#running.get(address);
    if (cpu !== undefined && !this.#leaving.has(cpu)) return cpu;
    // Each CPU has an idle task of its own, of pid 0.
    if (own !== undefined) return this.#leaving.get(own) === 0 ? own : undefined;
    return [...this.#leaving].find(([, noted]) => noted === pid)?.[0];
  }

  /**
   * Holds `on_cpu` against the CPU: a task has it from before its CPU comes to it until that has left it.
   *
   * @throws {ReadError}
   */
  check({ address, pid }: Task, cpu: number | undefined): void {
    if (this.#kernel.facts.live || this.#says(address) === (cpu !== undefined)) return;
    const next = this.#running.get(address);
    // Of a CPU that was changing tasks it is told already.
    if (cpu === undefined && next !== undefined && this.#leaving.has(next)) return;
    if (cpu === undefined)
      this.#warnings.add(
        'torn-list',
        `a CPU was still leaving the task, or its on_cpu is wrong: pid ${pid}`,
      );
    else this.#warnings.add('corrupt', `on_cpu and the run queue are inconsistent: pid ${pid}`);
  }

  /** Whether a task says that it is on a CPU. @param cpu whose idle task it is, of pid 0 */
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
