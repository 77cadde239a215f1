import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import { type Task, TaskReader } from '../tasks/tasks.js';

/** The memory of one process, or of several that share it (CLONE_VM, vfork). */
export interface AddressSpace {
  /** Address of its `struct mm_struct`. */
  readonly mm: bigint;
  /** Address of its top page table. */
  readonly pgd: bigint;
  /** The processes that have it, by their leaders; a leader that has ended may have threads that have it. */
  readonly processes: readonly Task[];
  /** How many threads have it. */
  readonly threads: number;
}

/**
 * The memory of all processes, each once. Kernel threads have none: what they borrow (`active_mm`) is not
 * theirs.
 *
 * @throws as TaskReader does
 */
export function addressSpaces(kernel: Kernel): AddressSpace[] {
  const tasks = new TaskReader(kernel);
  const task = new StructReader(kernel, 'task_struct', ['mm']);
  const memory = new StructReader(kernel, 'mm_struct', ['pgd']);
  const signal = new StructReader(kernel, 'signal_struct', ['nr_threads']);
  const found = new Map<bigint, { processes: Task[]; threads: number }>();
  const memoryOf = (address: bigint) => task.read(address).pointer('mm');
  for (const process of tasks.processes()) {
    if (process.kernelThread) continue;
    let mm = memoryOf(process.address);
    // A leader that has ended lets go of it, and its threads go on.
    for (const thread of mm === 0n ? tasks.threads(process) : []) mm ||= memoryOf(thread.address);
    if (mm === 0n) continue;
    const own = found.get(mm) ?? { processes: [], threads: 0 };
    found.set(mm, own);
    own.processes.push(process);
    own.threads += signal.read(process.signal).number('nr_threads');
  }
  return Array.from(found, ([mm, own]) => ({ mm, pgd: memory.read(mm).pointer('pgd'), ...own }));
}
