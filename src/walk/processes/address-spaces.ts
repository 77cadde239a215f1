import type { Kernel } from '../../kernel/kernel.js';
import { anew } from '../again.js';
import { cpuMask, needSymbol, perCpuAddress } from '../machine/cpus.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';
import type { Task } from '../tasks/tasks.js';

/** The memory of one process, or of several that share it (CLONE_VM, vfork). */
export interface AddressSpace {
  /** Address of its `struct mm_struct`. */
  readonly mm: bigint;
  /** Address of its top page table. */
  readonly pgd: bigint;
  /** The processes that have it, by their leaders; a leader that has ended may have threads that have it. */
  readonly processes: readonly Task[];
  /** Addresses of tasks that have it, one of each process. */
  readonly tasks: readonly bigint[];
  /** A CPU is at work for it: what it counts and what its page tables say may differ for a moment. */
  readonly running: boolean;
}

/**
 * The memory of all processes, each once. Kernel threads have none: what they borrow (`active_mm`) is not
 * theirs.
 *
 * @param lost told of processes whose memory cannot be found, and why
 * @throws as taskTable does; what `lost` throws
 */
export function addressSpaces(
  kernel: Kernel,
  lost: (process: Task, error: unknown) => void = (_, error) => {
    throw error;
  },
): AddressSpace[] {
  const { processes, threads, checkThreads, memory: memoryOf } = taskTable(kernel);
  const task = new StructReader(kernel, 'task_struct', ['mm']);
  const memory = new StructReader(kernel, 'mm_struct', ['pgd']);
  const found = new Map<bigint, { readonly processes: Task[]; readonly tasks: bigint[] }>();
  for (const process of processes) {
    if (process.kernelThread) continue;
    try {
      let [mm, task] = [memoryOf(process), process.address];
      // A leader that has ended lets go of it, and its threads go on.
      for (const thread of mm === 0n ? threads(process) : [])
        if (mm === 0n) [mm, task] = [memoryOf(thread), thread.address];
      if (mm === 0n) {
        checkThreads(process);
        continue;
      }
      const space = found.get(mm) ?? { processes: [], tasks: [] };
      found.set(mm, space);
      space.processes.push(process);
      space.tasks.push(task);
    } catch (error) {
      lost(process, error);
    }
  }
  const busy = new Set(Array.from(runningTasks(kernel), (one) => task.read(one).pointer('mm')));
  const spaces: AddressSpace[] = [];
  for (const [mm, { processes, tasks }] of found) {
    try {
      const pgd = memory.read(mm).pointer('pgd');
      spaces.push({ mm, pgd, processes, tasks, running: busy.has(mm) });
    } catch (error) {
      for (const process of processes) lost(process, error);
    }
  }
  return spaces;
}

/** Whether all tasks of a live kernel that had an address space have exited or called exec since it was found. */
export function isFreed(kernel: Kernel, { mm, tasks }: AddressSpace): boolean {
  if (!kernel.facts.live) return false;
  const task = new StructReader(kernel, 'task_struct', ['mm']);
  const now = (address: bigint) => anew(kernel, () => readOrNot(() => task.read(address)));
  return tasks.every((address) => now(address)?.pointer('mm') !== mm);
}

/** For messages. */
export function spaceName({ processes }: AddressSpace): string {
  const [first] = processes;
  return first === undefined ? 'a process' : `pid ${first.pid}`;
}

/** The tasks that CPUs are at work for (`rq.curr`). */
function* runningTasks(kernel: Kernel): Generator<bigint> {
  const queue = new StructReader(kernel, 'rq', ['curr']);
  const queues = needSymbol(kernel, 'runqueues');
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const task = queue.read(perCpuAddress(kernel, queues, cpu)).pointer('curr');
    if (task !== 0n) yield task;
  }
}
