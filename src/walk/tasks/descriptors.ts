import type { Kernel } from '../../kernel/kernel.js';
import { incompleteness } from '../incompleteness.js';
import { StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { FileTables } from './files.js';
import { isPid, samePid, type Task, TaskReader } from './tasks.js';

/** A process that has a file open, and at which descriptor. */
export interface Holder {
  readonly task: Task;
  readonly fd: number;
}

/**
 * What processes may share, each with those that have it. Threads are told as their process, also
 * those that have a table of their own (CLONE_THREAD without CLONE_FILES), or have outlived it.
 */
export interface Belongings {
  /** By the address of a `struct files_struct`. */
  readonly tables: ReadonlyMap<bigint, ReadonlySet<Task>>;
  /** By the address of a `struct mm_struct`; read when it is first asked for. */
  readonly memories: () => ReadonlyMap<bigint, ReadonlySet<Task>>;
}

/** Who has a file open. */
export interface Openers {
  readonly holders: Holder[];
  /** Descriptors that lead to it: those of a table that several share once. Each is a reference. */
  slots: number;
}

/**
 * Every open file of every process, with all its holders. A `files_struct` is read once, whoever
 * shares it. What cannot be read is a warning.
 */
export function openDescriptors(
  kernel: Kernel,
  { tables }: Belongings,
  warnings: Warnings,
): Map<bigint, Openers> {
  const byFile = new Map<bigint, Openers>();
  const reader = new FileTables(kernel);
  for (const [files, owners] of tables) {
    try {
      for (const { fd, file } of reader.open(files)) {
        const openers = byFile.get(file) ?? { holders: [], slots: 0 };
        byFile.set(file, openers);
        openers.slots++;
        for (const task of owners) openers.holders.push({ task, fd });
      }
    } catch (error) {
      const who = [...owners].map(({ pid }) => pid).join(', ');
      warnings.add(incompleteness(error), `files of pid ${who}: ${(error as Error).message}`);
    }
  }
  return byFile;
}

/** Whose each table of files and each memory is. What cannot be read is a warning. */
export function belongings(kernel: Kernel, warnings: Warnings): Belongings {
  const tables = new Map<bigint, Set<Task>>();
  const threads = new Map<bigint, Task>();
  const byPid = new Map<number, Task>();
  const reader = new TaskReader(kernel);
  const note = (thread: Task, process: Task) => {
    threads.set(thread.address, process);
    addOwner(tables, thread.files, process);
  };
  try {
    for (const process of reader.processes()) {
      const other = byPid.get(process.pid);
      if (other && !kernel.facts.live) warnings.add('corrupt', samePid(other, process));
      byPid.set(process.pid, process);
      if (process.oddity !== undefined) warnings.add('corrupt', process.oddity);
      // Nobody can be told by what is no pid.
      if (process.kernelThread || !isPid(process.pid)) continue;
      note(process, process);
      try {
        for (const thread of reader.threads(process)) note(thread, process);
      } catch (error) {
        const message = `threads of pid ${process.pid}: ${(error as Error).message}`;
        warnings.add(incompleteness(error), message);
      }
    }
  } catch (error) {
    warnings.add(incompleteness(error), `the list of processes: ${(error as Error).message}`);
  }
  let memories: Map<bigint, Set<Task>> | undefined;
  return {
    tables,
    memories() {
      memories ??= memoriesOf(kernel, threads, warnings);
      return memories;
    },
  };
}

/** @param threads the process of each thread, by the address of the thread's `struct task_struct` */
function memoriesOf(
  kernel: Kernel,
  threads: ReadonlyMap<bigint, Task>,
  warnings: Warnings,
): Map<bigint, Set<Task>> {
  const memories = new Map<bigint, Set<Task>>();
  const reader = new StructReader(kernel, 'task_struct', ['mm']);
  for (const [thread, process] of threads) {
    try {
      addOwner(memories, reader.read(thread).pointer('mm'), process);
    } catch (error) {
      const message = `the memory of pid ${process.pid}: ${(error as Error).message}`;
      warnings.add(incompleteness(error), message);
    }
  }
  return memories;
}

function addOwner(owners: Map<bigint, Set<Task>>, address: bigint, process: Task): void {
  if (address === 0n) return;
  const known = owners.get(address);
  if (known) known.add(process);
  else owners.set(address, new Set([process]));
}
