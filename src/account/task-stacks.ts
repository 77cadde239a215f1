import { KernelError, ReadError } from '../base/errors/kernel.js';
import { WalkError } from '../base/errors/walk.js';
import type { Kernel, KernelFacts, NamedAddress } from '../kernel/kernel.js';
import type { StackFrame, UnwoundStack } from '../walk/stacks/frame.js';
import { type TaskPlace, TaskStacks } from '../walk/stacks/task-stacks.js';
import type { TaskState } from '../walk/stacks/task-state.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import { StackGroups, type StackOwner } from './stack-groups.js';

/** Whose stacks are asked for; nothing: all. */
export interface StackChoice {
  /** A process with all its threads, or one thread. */
  readonly pid?: number | undefined;
  /** What this CPU ran. */
  readonly cpu?: number | undefined;
  readonly states?: ReadonlySet<TaskState> | undefined;
  /** Only what CPUs ran. */
  readonly running?: true | undefined;
}

/** A function, with its name. */
export interface NamedFrame extends StackFrame {
  /** Undefined where no symbol tells. `offset` is that of `address`. */
  readonly symbol: NamedAddress | undefined;
}

/** Threads that were at the same places in the same functions. */
export interface StackGroup {
  readonly frames: readonly NamedFrame[];
  readonly end: UnwoundStack['end'];
  readonly why: string | undefined;
  readonly stop?: UnwoundStack['stop'];
  /** By pid. */
  readonly tasks: readonly StackOwner[];
}

export interface StacksAnswer {
  readonly kernel: KernelFacts;
  /** What most threads share comes first. */
  readonly groups: readonly StackGroup[];
  /** Threads whose stacks these are. */
  readonly tasks: number;
  readonly complete: boolean;
  readonly warnings: readonly Warning[];
}

/** Stacks of tasks, equal ones together. @throws as TaskStacks does */
export function groupedStacks(kernel: Kernel, choice: StackChoice): StacksAnswer {
  const warnings = new Warnings(kernel.doubts);
  const groups = new StackGroups();
  const asked = (place: TaskPlace) => isChosen(place, choice);
  for (const one of new TaskStacks(kernel, warnings).all(asked)) groups.add(one);
  const { tasks } = groups;
  if (tasks === 0 && warnings.complete) {
    const { pid, cpu } = choice;
    if (pid !== undefined) throw new WalkError('no-such-pid', `no matching thread of pid ${pid}`);
    if (cpu !== undefined) throw new WalkError('no-such-cpu', `no matching task on CPU ${cpu}`);
  }
  const named = new Names(kernel, warnings);
  const list = groups.list().map(({ stack, tasks: same }) => ({
    frames: stack.frames.map((frame) => named.frame(frame)),
    end: stack.end,
    why: stack.why,
    ...(stack.stop === undefined ? {} : { stop: stack.stop }),
    tasks: same,
  }));
  const { complete } = warnings;
  return { kernel: kernel.facts, groups: list, tasks, complete, warnings: warnings.list() };
}

function isChosen({ task, process, cpu, state }: TaskPlace, choice: StackChoice): boolean {
  if (choice.pid !== undefined && choice.pid !== process && choice.pid !== task.pid) return false;
  if (choice.cpu !== undefined && choice.cpu !== cpu) return false;
  if (choice.running && cpu === undefined) return false;
  return choice.states === undefined || choice.states.has(state);
}

/** Names of places, each looked up once. */
class Names {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #known = new Map<bigint, NamedAddress | undefined>();

  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
  }

  frame(frame: StackFrame): NamedFrame {
    const { address, interrupted } = frame;
    // Behind a call that never returns, another function may begin: the call's own place names it.
    const back = interrupted ? 0 : 1;
    const near = this.#at(address - BigInt(back));
    return { ...frame, symbol: near && { ...near, offset: near.offset + back } };
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
