import type { Kernel } from '../../kernel/kernel.js';
import { incompleteness } from '../incompleteness.js';
import type { Warnings } from '../warnings.js';
import { FileTables } from './files.js';
import { reportedTasks, type TaskTable } from './task-table.js';
import { isPid, type Task } from './tasks.js';

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

/** Whose each table of files and each memory is. Faults of the task table are warnings. */
export function belongings(kernel: Kernel, warnings: Warnings): Belongings {
  const table = reportedTasks(kernel, warnings);
  const tables = new Map<bigint, Set<Task>>();
  // Nobody can be told by what is no pid.
  const users = table.processes.filter((process) => !process.kernelThread && isPid(process.pid));
  for (const process of users)
    for (const thread of table.threads(process)) addOwner(tables, thread.files, process);
  let memories: Map<bigint, Set<Task>> | undefined;
  return {
    tables,
    memories() {
      memories ??= memoriesOf(table, users, warnings);
      return memories;
    },
  };
}

function memoriesOf(
  { threads, memory }: TaskTable,
  users: readonly Task[],
  warnings: Warnings,
): Map<bigint, Set<Task>> {
  const memories = new Map<bigint, Set<Task>>();
  for (const process of users)
    for (const thread of threads(process)) {
      try {
        addOwner(memories, memory(thread), process);
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
