import { KernelError, ReadError, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { TaskState } from '../../records/waits.js';
import { readFresh } from '../live-reads.js';
import { PidNumberReader } from '../processes/process-facts.js';
import { StructReader } from '../struct-reader.js';
import { stackSize } from '../tasks/stack-size.js';
import { reportedTasks } from '../tasks/task-table.js';
import { PF_EXITING, type Task, taskState } from '../tasks/tasks.js';
import { incompleteness, Warnings } from '../warnings.js';
import { Arm64Unwinder } from './arm64-unwinder.js';
import { stopAt, stopped, type TaskArea, type UnwoundStack } from './frame.js';
import { FramePointerUnwinder } from './frame-pointer-unwinder.js';
import { OrcUnwinder } from './orc-unwinder.js';
import { type CpuRegisters, RunningTasks } from './registers.js';

/** A thread before its stack is read. */
export interface TaskPlace {
  readonly task: Task;
  /** Pid of its process. */
  readonly process: number;
  readonly state: TaskState;
  /** The CPU that ran it, if any. */
  readonly cpu: number | undefined;
}

/** A thread with its stack. */
export interface TaskStack extends TaskPlace {
  /** Origin of the registers from which a running thread was unwound. */
  readonly registers: CpuRegisters['source'] | undefined;
  readonly stack: UnwoundStack;
}

/** Functions in which a task that is not running has given up its CPU, or has not run yet (kernel/sched/core.c). */
const GIVES_UP_CPU = /schedule|context_switch|__switch_to|ret_from_fork/;

/** Maximum number of reads of an inconsistent stack on a live kernel. */
const LIVE_READS = 4;

/** EXIT_ZOMBIE and EXIT_DEAD (include/linux/sched.h). */
const EXIT_TRACE = 0x30;

/** Reads the stacks of tasks, including the idle task of each CPU. */
export class TaskStacks {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #state: 'state' | '__state';
  readonly #task: StructReader<'stack' | 'exit_state' | 'flags' | 'state' | '__state'>;
  readonly #size: bigint;
  readonly #unwind: (task: Task, area: TaskArea, registers?: CpuRegisters) => UnwoundStack;
  readonly #pids: PidNumberReader;
  readonly #whoRan: RunningTasks;

  /** @throws {KernelError} if the kernel has unknown structs */
  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    if (kernel.symbolAt === undefined) throw unsupportedLayout('only the native engine reads stacks');
    // Named `__state` since 5.14, and no longer a long.
    this.#state = kernel.struct('task_struct')?.member('__state') ? '__state' : 'state';
    const members = ['stack', 'exit_state', 'flags', this.#state] as const;
    this.#task = new StructReader<(typeof members)[number]>(kernel, 'task_struct', members);
    this.#size = stackSize(kernel);
    this.#unwind = kernel.facts.arch === 'arm64' ? this.#onArm64() : this.#onX86();
    this.#pids = new PidNumberReader(kernel);
    this.#whoRan = new RunningTasks(kernel, warnings);
  }

  /**
   * Yields the stacks of all threads, process by process; unreadable parts are warnings.
   *
   * @param isRequested selects threads; others are not read
   */
  *all(isRequested: (place: TaskPlace) => boolean = () => true): Generator<TaskStack> {
    yield* this.#idle(isRequested);
    const { processes, threads } = reportedTasks(this.#kernel, this.#warnings);
    for (const process of processes)
      for (const thread of threads(process)) {
        const stack = this.#read(thread, process.pid, isRequested);
        if (stack) yield stack;
      }
  }

  /** Returns the stack of one thread that {@link all} showed; undefined: unreadable, which is a warning. */
  of({ task, process, cpu }: TaskPlace): TaskStack | undefined {
    return this.#read(task, process, () => true, task.pid === 0 ? cpu : undefined);
  }

  /** Yields the stack of each CPU's idle task (`rq.idle`). */
  *#idle(isWanted: (place: TaskPlace) => boolean): Generator<TaskStack> {
    const plain = new StructReader(this.#kernel, 'task_struct', ['comm', 'files', 'signal']);
    const seen = new Set<bigint>();
    for (const cpu of this.#whoRan.cpus) {
      try {
        const address = this.#whoRan.idleTask(cpu);
        if (seen.has(address)) this.#warnings.add('corrupt', `idle task of CPU ${cpu} belongs to another CPU`);
        seen.add(address);
        const view = plain.read(address);
        const [files, signal] = [view.pointer('files'), view.pointer('signal')];
        const comm = view.text('comm');
        const task = { address, pid: 0, comm, files, signal, kernelThread: true };
        const stack = this.#read(task, 0, isWanted, cpu);
        if (stack) yield stack;
      } catch (error) {
        this.#missing(`the idle task of CPU ${cpu}`, error);
      }
    }
  }

  /**
   * Reads a stack. On a live kernel, an inconsistent stack is read again: its task has run, has begun another
   * wait, or has exited.
   *
   * @param own the CPU of which it is the idle task
   */
  #read(task: Task, process: number, asked: (place: TaskPlace) => boolean, own?: number): TaskStack | undefined {
    const readOnce = () => {
      const warnings = new Warnings();
      return { found: this.#readOnce(task, process, asked, { own, warnings }), warnings };
    };
    let last = readOnce();
    for (let reads = 1; this.#kernel.facts.live && reads < LIVE_READS; reads++) {
      if (last.warnings.list().length === 0) break;
      last = readFresh(this.#kernel, readOnce);
    }
    this.#warnings.merge(last.warnings);
    return last.found;
  }

  #readOnce(
    task: Task,
    process: number,
    asked: (place: TaskPlace) => boolean,
    { own, warnings }: { readonly own: number | undefined; readonly warnings: Warnings },
  ): TaskStack | undefined {
    try {
      const view = this.#task.read(task.address);
      const exitState = view.number('exit_state');
      const state = taskState(view.number(this.#state), exitState);
      const mayExit = (view.number('flags') & PF_EXITING) !== 0 && (exitState & ~EXIT_TRACE) === 0;
      if (exitState !== 0 && !mayExit)
        warnings.add('corrupt', `pid ${task.pid} has the exit_state ${hex(exitState)}, but has not begun to exit`);
      const start = view.pointer('stack');
      const cpu = this.#whoRan.cpuOf(task, own);
      const facts = { task, process, state, cpu };
      if (!asked(facts)) return undefined;
      if (task.anomaly !== undefined) warnings.add('corrupt', task.anomaly);
      if (own === undefined) this.#checkPid(task, warnings);
      this.#whoRan.check(task, cpu);
      if (start === 0n) {
        // An exited task has no stack (release_task_stack).
        if (state !== 'X' && state !== 'Z') warnings.add('corrupt', `pid ${task.pid} has no stack, but has not exited`);
        const stack = { frames: [], end: 'first' } as const;
        return { ...facts, registers: undefined, stack };
      }
      const area = { start, end: start + this.#size, task: task.address };
      const registers = cpu === undefined ? undefined : this.#whoRan.registers(cpu);
      const stack: UnwoundStack =
        cpu !== undefined && registers === undefined
          ? stopped([], stopAt('no-registers'))
          : this.#unwind(task, area, registers);
      if (stack.end === 'user' && task.kernelThread)
        warnings.add('corrupt', `pid ${task.pid} is a kernel thread, but its stack ends in user space`);
      if (cpu === undefined) this.#checkFirstFrame(task, stack, warnings);
      if (stack.end === 'stopped')
        warnings.add('unreadable', `incomplete stack trace of pid ${task.pid}: ${stack.why}`);
      return { ...facts, registers: registers?.source, stack };
    } catch (error) {
      this.#missing(`the stack of pid ${task.pid}, at ${hex(task.address)}`, error, warnings);
      return undefined;
    }
  }

  /**
   * A task gives up its CPU in one place, and a new one begins in another: any other first frame is read from
   * the wrong part of the stack (`thread.sp`). On a live kernel the task may have run meanwhile.
   */
  #checkFirstFrame({ pid }: Task, { frames: [first] }: UnwoundStack, warnings: Warnings): void {
    if (first === undefined || this.#kernel.facts.live) return;
    const name = this.#kernel.symbolAt?.(first.address)?.name;
    if (name !== undefined && !GIVES_UP_CPU.test(name))
      warnings.add('corrupt', `pid ${pid} is not running, but its stack begins in ${name}`);
  }

  /** Compares a task's pid with its struct pid. */
  #checkPid(task: Task, warnings: Warnings): void {
    if (this.#kernel.facts.live) return;
    try {
      this.#pids.read(task);
    } catch (error) {
      // If the dump lacks it, there is no second fact.
      if (error instanceof ReadError) return;
      if (!(error instanceof KernelError)) throw error;
      warnings.add('corrupt', error.message);
    }
  }

  #missing(what: string, error: unknown, warnings = this.#warnings): void {
    const known = error instanceof ReadError || error instanceof KernelError;
    if (!known) throw error;
    warnings.add(incompleteness(error), `${what}: ${error.message}`);
  }

  #onX86(): (task: Task, area: TaskArea, registers?: CpuRegisters) => UnwoundStack {
    const hasTables = this.#kernel.symbol('__start_orc_unwind_ip') !== undefined;
    const unwinder = new (hasTables ? OrcUnwinder : FramePointerUnwinder)(this.#kernel);
    const thread = new StructReader(this.#kernel, 'task_struct', ['thread.sp']);
    return (task, area, registers) =>
      registers
        ? unwinder.running(area, registers)
        : unwinder.sleeping(area, thread.read(task.address).pointer('thread.sp'));
  }

  #onArm64(): (task: Task, area: TaskArea, registers?: CpuRegisters) => UnwoundStack {
    const unwinder = new Arm64Unwinder(this.#kernel);
    const thread = new StructReader(this.#kernel, 'task_struct', ['thread.cpu_context.pc', 'thread.cpu_context.fp']);
    return (task, area, registers) => {
      if (registers) return unwinder.running(area, registers);
      const view = thread.read(task.address);
      const [pc, fp] = [view.pointer('thread.cpu_context.pc'), view.pointer('thread.cpu_context.fp')];
      return unwinder.sleeping(area, { pc, fp });
    };
  }
}
