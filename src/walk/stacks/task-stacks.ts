import { KernelError, ReadError } from '../../kernel/error.js';
import { hex } from '../../kernel/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { incompleteness } from '../incompleteness.js';
import { cpuMask, cpusThatRan, needSymbol, perCpuAddress, runningTask } from '../machine/cpus.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { type Task, TaskReader } from '../tasks/tasks.js';
import type { Warnings } from '../warnings.js';
import { Arm64Unwinder } from './arm64-unwinder.js';
import type { StackArea, UnwoundStack } from './frame.js';
import { OrcUnwinder } from './orc-unwinder.js';
import { type CpuRegisters, cpuRegisters } from './registers.js';
import { type TaskState, taskState } from './task-state.js';

/** A thread, before its stack is looked at. */
export interface TaskPlace {
  readonly task: Task;
  /** The process that it is of. */
  readonly process: number;
  readonly state: TaskState;
  /** The CPU that ran it. */
  readonly cpu: number | undefined;
}

/** A thread, and what it was doing. */
export interface TaskStack extends TaskPlace {
  /** Whose registers it was unwound from, where it ran. */
  readonly registers: CpuRegisters['source'] | undefined;
  readonly stack: UnwoundStack;
}

/** The largest of any kernel (with KASAN on arm64 with pages of 64 KiB). */
const MOST_STACK = 1n << 19n;

/**
 * THREAD_SIZE, in bytes: that of the first task's stack, which lies between two symbols, or of what the
 * first process has from vmalloc.
 */
function stackSize(kernel: Kernel): bigint {
  for (const name of ['init_stack', 'init_task']) {
    const [start, end] = [kernel.symbol(`__start_${name}`), kernel.symbol(`__end_${name}`)];
    if (start === undefined || end === undefined) continue;
    const size = end - start;
    if (size > 0n && size <= MOST_STACK && (size & (size - 1n)) === 0n) return size;
  }
  const area = kernel.struct('task_struct')?.member('stack_vm_area');
  const [first] = new TaskReader(kernel).processes();
  if (area !== undefined && first !== undefined) {
    const at = first.address + BigInt(area.offset);
    const pages = new StructReader(kernel, 'vm_struct', ['nr_pages']);
    const found = pages.read(pointerPartOf(kernel, 'struct task_struct', first.address, at));
    const size = BigInt(found.number('nr_pages') * kernel.facts.pageSize);
    if (size > 0n && size <= MOST_STACK) return size;
  }
  throw new KernelError('unsupported-layout', 'how large stacks are cannot be told');
}

/** Reads tasks' stacks, those of each CPU's idle task among them. */
export class TaskStacks {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #state: 'state' | '__state';
  readonly #task: StructReader<'stack' | 'exit_state' | 'on_cpu' | 'state' | '__state'>;
  readonly #size: bigint;
  readonly #unwind: (task: Task, area: StackArea, registers?: CpuRegisters) => UnwoundStack;
  /** CPUs by the task that each ran; undefined where it cannot be told. */
  readonly #cpus: readonly number[];
  readonly #running = new Map<bigint, number>();
  /** Pids that CPUs noted where `rq.curr` is another: __schedule sets that first, and changes stacks then. */
  readonly #leaving = new Map<number, number>();
  #onCpu: Set<number> | undefined;

  /**
   * @throws {KernelError} where the kernel has no tables to unwind by, or other structs than are known
   * @throws {ReadError}
   */
  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    if (kernel.symbolAt === undefined)
      throw new KernelError('unsupported-layout', 'stacks are read by the native engine alone');
    // Since 5.14 `__state`, and no longer a long.
    this.#state = kernel.struct('task_struct')?.member('__state') ? '__state' : 'state';
    const members = ['stack', 'exit_state', 'on_cpu', this.#state] as const;
    this.#task = new StructReader<(typeof members)[number]>(kernel, 'task_struct', members);
    this.#size = stackSize(kernel);
    this.#unwind = kernel.facts.arch === 'arm64' ? this.#onArm64() : this.#onX86();
    this.#cpus = cpuMask(kernel, '__cpu_possible_mask');
    for (const cpu of cpusThatRan(kernel)) {
      try {
        const { address, pid } = runningTask(kernel, cpu);
        this.#running.set(address, cpu);
        const noted = cpuRegisters(kernel, cpu, this.#cpus)?.pid;
        if (noted === undefined || noted === pid) continue;
        if (this.#isOnCpu(noted, cpu)) {
          this.#leaving.set(cpu, noted);
          warnings.add('torn-list', `CPU ${cpu} was changing from pid ${noted} to pid ${pid}`);
        } else {
          const message = `registers are noted to be those of pid ${noted}: of CPU ${cpu}, which ran pid ${pid}`;
          warnings.add('corrupt', message);
        }
      } catch (error) {
        warnings.add(incompleteness(error), `the task on CPU ${cpu}: ${(error as Error).message}`);
      }
    }
  }

  /**
   * The stacks of all threads, process by process; what cannot be read of them is warned of.
   *
   * @param asked of others nothing is read
   */
  *all(asked: (place: TaskPlace) => boolean = () => true): Generator<TaskStack> {
    yield* this.#idle(asked);
    const reader = new TaskReader(this.#kernel);
    try {
      for (const process of reader.processes()) {
        try {
          for (const thread of reader.threads(process)) {
            const found = this.#read(thread, process.pid, asked);
            if (found) yield found;
          }
        } catch (error) {
          this.#missing(`threads of pid ${process.pid}`, error);
        }
      }
    } catch (error) {
      this.#missing('tasks', error);
    }
  }

  /** Whether a task says that it is on a CPU. @param cpu whose idle task it is, of pid 0 */
  #isOnCpu(pid: number, cpu: number): boolean {
    const onCpu = (address: bigint) => this.#task.read(address).number('on_cpu') !== 0;
    if (pid === 0) return onCpu(this.#idleTask(cpu));
    if (this.#onCpu === undefined) {
      this.#onCpu = new Set();
      const reader = new TaskReader(this.#kernel);
      for (const process of reader.processes())
        for (const thread of reader.threads(process))
          if (onCpu(thread.address)) this.#onCpu.add(thread.pid);
    }
    return this.#onCpu.has(pid);
  }

  /** @throws {ReadError} */
  #idleTask(cpu: number): bigint {
    const rq = new StructReader(this.#kernel, 'rq', ['idle']);
    const queue = perCpuAddress(this.#kernel, needSymbol(this.#kernel, 'runqueues'), cpu);
    return rq.read(queue).pointer('idle');
  }

  /** Each CPU's own task for when nobody else wants it (`rq.idle`). */
  *#idle(asked: (place: TaskPlace) => boolean): Generator<TaskStack> {
    const plain = new StructReader(this.#kernel, 'task_struct', ['comm', 'files', 'signal']);
    for (const cpu of new Set(this.#running.values())) {
      try {
        const address = this.#idleTask(cpu);
        const view = plain.read(address);
        const [files, signal] = [view.pointer('files'), view.pointer('signal')];
        const comm = view.text('comm');
        const task = { address, pid: 0, comm, files, signal, kernelThread: true };
        const found = this.#read(task, 0, asked, cpu);
        if (found) yield found;
      } catch (error) {
        this.#missing(`the idle task of CPU ${cpu}`, error);
      }
    }
  }

  /** The CPU that ran a task, as its registers tell: one that changed tasks had not come to the next yet. */
  #cpuOf({ address, pid }: Task, own: number | undefined): number | undefined {
    const cpu = this.#running.get(address);
    if (cpu !== undefined && !this.#leaving.has(cpu)) return cpu;
    // Each CPU has an idle task of its own, of pid 0.
    if (own !== undefined) return this.#leaving.get(own) === 0 ? own : undefined;
    return [...this.#leaving].find(([, noted]) => noted === pid)?.[0];
  }

  /** Holds `on_cpu` against the CPU: a task has it from before its CPU comes to it until that has left it. */
  #checkOnCpu({ address, pid }: Task, onCpu: boolean, cpu: number | undefined): void {
    if (this.#kernel.facts.live || onCpu === (cpu !== undefined)) return;
    const next = this.#running.get(address);
    // Of a CPU that was changing tasks it is told already.
    if (cpu === undefined && next !== undefined && this.#leaving.has(next)) return;
    if (cpu === undefined)
      this.#warnings.add(
        'torn-list',
        `a CPU had not left it, or its on_cpu is wrong: of pid ${pid}`,
      );
    else this.#warnings.add('corrupt', `on a CPU or not, that is said in two ways: of pid ${pid}`);
  }

  /** @param own the CPU whose idle task it is */
  #read(
    task: Task,
    process: number,
    asked: (place: TaskPlace) => boolean,
    own?: number,
  ): TaskStack | undefined {
    try {
      const view = this.#task.read(task.address);
      const state = taskState(view.number(this.#state), view.number('exit_state'));
      const start = view.pointer('stack');
      const cpu = this.#cpuOf(task, own);
      const facts = { task, process, state, cpu };
      if (!asked(facts)) return undefined;
      if (task.oddity !== undefined) this.#warnings.add('corrupt', task.oddity);
      this.#checkOnCpu(task, view.number('on_cpu') !== 0, cpu);
      if (start === 0n) {
        // What is left of a task that has ended.
        const stack = { frames: [], end: 'first' } as const;
        return { ...facts, registers: undefined, stack };
      }
      const area = { start, end: start + this.#size };
      const registers = cpu === undefined ? undefined : cpuRegisters(this.#kernel, cpu, this.#cpus);
      const stack: UnwoundStack =
        cpu !== undefined && registers === undefined
          ? { frames: [], end: 'stopped', why: `nobody noted the registers of CPU ${cpu}` }
          : this.#unwind(task, area, registers);
      if (stack.end === 'stopped')
        this.#warnings.add('unreadable', `a stack is not whole, of pid ${task.pid}: ${stack.why}`);
      return { ...facts, registers: registers?.source, stack };
    } catch (error) {
      this.#missing(`the stack of pid ${task.pid}, at ${hex(task.address)}`, error);
      return undefined;
    }
  }

  #missing(what: string, error: unknown): void {
    const known = error instanceof ReadError || error instanceof KernelError;
    if (!known) throw error;
    this.#warnings.add(incompleteness(error), `${what}: ${error.message}`);
  }

  #onX86(): (task: Task, area: StackArea, registers?: CpuRegisters) => UnwoundStack {
    const unwinder = new OrcUnwinder(this.#kernel);
    const thread = new StructReader(this.#kernel, 'task_struct', ['thread.sp']);
    return (task, area, registers) =>
      registers
        ? unwinder.running(area, registers)
        : unwinder.sleeping(area, thread.read(task.address).pointer('thread.sp'));
  }

  #onArm64(): (task: Task, area: StackArea, registers?: CpuRegisters) => UnwoundStack {
    const unwinder = new Arm64Unwinder(this.#kernel);
    const thread = new StructReader(this.#kernel, 'task_struct', [
      'thread.cpu_context.pc',
      'thread.cpu_context.fp',
    ]);
    return (task, area, registers) => {
      if (registers) return unwinder.running(area, registers);
      const view = thread.read(task.address);
      const [pc, fp] = [
        view.pointer('thread.cpu_context.pc'),
        view.pointer('thread.cpu_context.fp'),
      ];
      return unwinder.sleeping(area, { pc, fp });
    };
  }
}
