import type { Kernel } from '../../kernel/kernel.js';
import { anew } from '../again.js';
import { incompleteness } from '../incompleteness.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { FileTables, type OpenFile } from './files.js';
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
    const found: OpenFile[] = [];
    let failure: unknown;
    try {
      for (const open of reader.open(files)) found.push(open);
    } catch (error) {
      failure = error;
    }
    if (kernel.facts.live && isLeft(kernel, files, owners)) continue;
    for (const { fd, file } of found) {
      const openers = byFile.get(file) ?? { holders: [], slots: 0 };
      byFile.set(file, openers);
      openers.slots++;
      for (const task of owners) openers.holders.push({ task, fd });
    }
    if (failure !== undefined) {
      const who = [...owners].map(({ pid }) => pid).join(', ');
      warnings.add(incompleteness(failure), `files of pid ${who}: ${(failure as Error).message}`);
    }
  }
  return byFile;
}

/** Whether the processes that had a table have let go of it since: they are exiting, and its memory may be another's. */
function isLeft(kernel: Kernel, files: bigint, owners: ReadonlySet<Task>): boolean {
  const task = new StructReader(kernel, 'task_struct', ['files']);
  return [...owners].every(
    (owner) =>
      owner.files === files &&
      readOrNot(() => anew(kernel, () => task.read(owner.address).pointer('files'))) !== files,
  );
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
