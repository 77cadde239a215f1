import { KernelError, ReadError, WalkError } from '../base/errors.js';
import type { NamedFrame, Stack, StackGroup, StackOwner, StacksAnswer } from '../contracts/task-stacks.js';
import { kernelIdentity } from '../kernel/identity.js';
import type { Kernel, NamedAddress } from '../kernel/kernel.js';
import type { TaskState } from '../records/waits.js';
import type { StackFrame } from '../walk/stacks/frame.js';
import { type TaskPlace, type TaskStack, TaskStacks } from '../walk/stacks/task-stacks.js';
import { Warnings } from '../walk/warnings.js';

/** Threads with the same stack trace. */
export interface EqualStacks {
  readonly stack: TaskStack['stack'];
  /** Sorted by pid. */
  readonly tasks: readonly StackOwner[];
}

interface Group {
  readonly stack: TaskStack['stack'];
  readonly tasks: StackOwner[];
  leastPid: number;
}

/** Groups equal stacks. Each is stored once, for any number of threads. */
export class StackGroups {
  /** Number of threads added. */
  tasks = 0;
  readonly #groups = new Map<string, Group>();

  add({ task, process, state, cpu, registers, stack }: TaskStack): void {
    this.tasks++;
    const { frames, end, why } = stack;
    const places = frames.map(({ address, guess }) => `${address}${guess ? '?' : ''}`);
    const key = `${places.join(' ')} ${end} ${why}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { stack, tasks: [], leastPid: task.pid };
      this.#groups.set(key, group);
    }
    if (task.pid < group.leastPid) group.leastPid = task.pid;
    group.tasks.push({
      pid: task.pid,
      process,
      comm: task.comm,
      state,
      cpu: cpu ?? null,
      registers: registers ?? null,
    });
  }

  /** Stacks of most threads first; of equally many, those from user space first. */
  list(): EqualStacks[] {
    const groups = [...this.#groups.values()];
    const fromUser = ({ stack }: Group) => Number(stack.end === 'user');
    groups.sort((a, b) => b.tasks.length - a.tasks.length || fromUser(b) - fromUser(a) || a.leastPid - b.leastPid);
    for (const { tasks } of groups) tasks.sort((a, b) => a.pid - b.pid || (a.cpu ?? 0) - (b.cpu ?? 0));
    return groups;
  }
}

/** Task filter; without criteria it selects all tasks. */
export interface StackChoice {
  /** A process with all its threads, or one thread. */
  readonly pid?: number | undefined;
  /** The thread that this CPU ran. */
  readonly cpu?: number | undefined;
  readonly states?: ReadonlySet<TaskState> | undefined;
  /** Only tasks that were running on a CPU. */
  readonly running?: true | undefined;
}

/** Returns the stacks of tasks, with equal ones grouped. @throws as TaskStacks does */
export function groupedStacks(kernel: Kernel, choice: StackChoice): StacksAnswer {
  const warnings = new Warnings(kernel.doubts);
  const groups = new StackGroups();
  const isRequested = (place: TaskPlace) => isChosen(place, choice);
  for (const stack of new TaskStacks(kernel, warnings).all(isRequested)) groups.add(stack);
  const { tasks } = groups;
  if (tasks === 0 && warnings.complete) {
    const { pid, cpu } = choice;
    if (pid !== undefined) throw new WalkError('no-such-pid', `no matching thread of pid ${pid}`);
    if (cpu !== undefined) throw new WalkError('no-such-cpu', `no matching task on CPU ${cpu}`);
  }
  const named = new Names(kernel, warnings);
  const stacks = groups.list().map(({ stack, tasks: same }) => ({ tasks: same, ...named.stack(stack) }));
  stacks.sort((a, b) => rank(a) - rank(b));
  const { complete } = warnings;
  const kernelOf = kernelIdentity(kernel.facts);
  return { schema: 'kdump-mem.task-stacks/1', kernel: kernelOf, stacks, tasks, complete, warnings: warnings.list() };
}

/** Functions that a panicking CPU runs. */
const PANIC = new Set(['panic', 'vpanic', 'crash_kexec', '__crash_kexec']);

function rank({ tasks, frames }: StackGroup): number {
  if (tasks.every(({ pid, cpu }) => pid === 0 || cpu === null)) return 2;
  return frames.some(({ symbol, guess }) => !guess && PANIC.has(symbol ?? '')) ? 0 : 1;
}

function isChosen({ task, process, cpu, state }: TaskPlace, choice: StackChoice): boolean {
  if (choice.pid !== undefined && choice.pid !== process && choice.pid !== task.pid) return false;
  if (choice.cpu !== undefined && choice.cpu !== cpu) return false;
  if (choice.running && cpu === undefined) return false;
  return choice.states === undefined || choice.states.has(state);
}

/** Symbol names of the addresses of stacks, each looked up once. */
export class Names {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #known = new Map<bigint, NamedAddress | undefined>();

  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
  }

  stack({ frames, end, why, stop }: TaskStack['stack']): Stack {
    const named = frames.map((frame) => this.#frame(frame));
    return { frames: named, end, why: why ?? null, code: stop?.code ?? null, at: stop?.at ?? null };
  }

  #frame({ address, interrupted, guess }: StackFrame): NamedFrame {
    // After a call that never returns, another function may begin: the address of the call itself has the
    // name.
    const back = interrupted ? 0 : 1;
    const near = this.#at(address - BigInt(back));
    const symbol = near?.name ?? null;
    const offset = near ? near.offset + back : null;
    return { address, symbol, offset, module: near?.module ?? null, interrupted, guess };
  }

  #at(address: bigint): NamedAddress | undefined {
    if (!this.#known.has(address)) this.#known.set(address, this.#find(address));
    return this.#known.get(address);
  }

  #find(address: bigint): NamedAddress | undefined {
    try {
      return this.#kernel.symbolAt?.(address);
    } catch (error) {
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
      this.#warnings.add('unreadable', `function name: ${error.message}`);
      return undefined;
    }
  }
}
