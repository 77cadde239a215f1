import type { CpuRegisters } from '../walk/stacks/registers.js';
import type { TaskStack } from '../walk/stacks/task-stacks.js';
import type { TaskState } from '../walk/stacks/task-state.js';

/** A thread whose stack it is. */
export interface StackOwner {
  /** The thread's own id; 0: the idle task of a CPU. */
  readonly pid: number;
  /** The process that it is of. */
  readonly process: number;
  /** Hostile. */
  readonly comm: string;
  readonly state: TaskState;
  readonly cpu: number | undefined;
  readonly registers: CpuRegisters['source'] | undefined;
}

/** Threads that were at the same places in the same functions. */
export interface EqualStacks {
  readonly stack: TaskStack['stack'];
  /** By pid. */
  readonly tasks: readonly StackOwner[];
}

interface Group {
  readonly stack: TaskStack['stack'];
  readonly tasks: StackOwner[];
  leastPid: number;
}

/** Puts equal stacks together. Each is kept once, of however many threads. */
export class StackGroups {
  /** Threads that were added. */
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
    group.tasks.push({ pid: task.pid, process, comm: task.comm, state, cpu, registers });
  }

  /** What most threads share comes first. */
  list(): EqualStacks[] {
    const groups = [...this.#groups.values()];
    groups.sort((a, b) => b.tasks.length - a.tasks.length || a.leastPid - b.leastPid);
    for (const { tasks } of groups)
      tasks.sort((a, b) => a.pid - b.pid || (a.cpu ?? 0) - (b.cpu ?? 0));
    return groups;
  }
}
