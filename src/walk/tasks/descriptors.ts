import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { again, anew } from '../again.js';
import { incompleteness } from '../incompleteness.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { FileTables, type OpenFile } from './files.js';
import { reportedTasks, type TaskTable } from './task-table.js';
import { isPid, PF_EXITING, type Task } from './tasks.js';

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
  readonly tables: ReadonlyMap<bigint, TableUsers>;
  /** By the address of a `struct mm_struct`; read when it is first asked for. */
  readonly memories: () => ReadonlyMap<bigint, ReadonlySet<Task>>;
  /** Why tasks may be missing; undefined: none is. */
  readonly lost: TaskTable['lost'];
}

/** Which processes have a table of files, and their threads that do. */
interface TableUsers {
  readonly processes: Set<Task>;
  readonly threads: Task[];
}

/** Who has a file open. */
export interface Openers {
  readonly holders: Holder[];
  /** Descriptors that lead to it: those of a table that several share once. Each is a reference. */
  readonly slots: { readonly files: bigint; readonly fd: number }[];
}

/** How often what an open file of a live kernel leads to is read. */
const LIVE_READS = 3;

/** So many processes may exit on a live kernel while files are read: or one in four. */
const MOST_EXITED = 64;

/**
 * Every open file of every process, with all its holders. A `files_struct` is read once, whichever processes
 * share it.
 */
export class OpenFiles {
  readonly #kernel: Kernel;
  readonly #reader: FileTables;
  readonly #task;
  readonly #users: Map<bigint, TableUsers>;
  readonly #files = new Map<bigint, Openers>();
  /** Of a live kernel: processes that exited after they were found. */
  readonly #exited = new Set<Task>();
  #closed = 0;

  /** @param lost reports which processes' files cannot all be read, and why */
  constructor(
    kernel: Kernel,
    { tables }: Belongings,
    lost: (processes: ReadonlySet<Task>, error: unknown) => void,
  ) {
    this.#kernel = kernel;
    this.#reader = new FileTables(kernel);
    this.#task = new StructReader(kernel, 'task_struct', ['files', 'flags', 'signal']);
    this.#users = new Map(tables);
    // Tables that processes change to meanwhile are added to the map, and so read as well.
    for (const [files, users] of this.#users) {
      const found: OpenFile[] = [];
      let failure: unknown;
      try {
        for (const open of this.#reader.open(files)) found.push(open);
      } catch (error) {
        failure = error;
      }
      if (kernel.facts.live && this.#isLeft(files, users)) continue;
      for (const { fd, file } of found) {
        const openers = this.#files.get(file) ?? { holders: [], slots: [] };
        this.#files.set(file, openers);
        openers.slots.push({ files, fd });
        for (const task of users.processes) openers.holders.push({ task, fd });
      }
      if (failure !== undefined) lost(users.processes, failure);
    }
  }

  [Symbol.iterator](): Iterator<[bigint, Openers]> {
    return this.#files[Symbol.iterator]();
  }

  /**
   * Reads what an open file leads to. Of a live kernel it is read again where it contradicts itself.
   *
   * @returns undefined: it was closed meanwhile
   * @throws what `read` throws
   */
  read<Found>(file: bigint, read: () => Found): Found | undefined {
    try {
      return again(this.#kernel, read, LIVE_READS);
    } catch (error) {
      const isOfMemory = error instanceof KernelError || error instanceof ReadError;
      if (!isOfMemory || !this.#kernel.facts.live || this.#isOpen(file)) throw error;
      this.#closed++;
      return undefined;
    }
  }

  /** Adds what was freed since it was found. @param what was read meanwhile */
  note(what: string, warnings: Warnings): void {
    const { size } = this.#exited;
    if (size > 0) {
      const processes = new Set([...this.#users.values()].flatMap((users) => [...users.processes]));
      const isMany = size > Math.max(MOST_EXITED, processes.size / 4);
      const message = `processes that exited while ${what} were read: ${size} of ${processes.size}`;
      warnings.add(isMany ? 'torn-list' : 'freed-while-read', message);
    }
    if (this.#closed > 0) {
      const message = `files that were closed while ${what} were read: ${this.#closed} of ${this.#files.size}`;
      warnings.add('freed-while-read', message);
    }
  }

  #isOpen(file: bigint): boolean {
    const { slots } = this.#files.get(file) ?? { slots: [] };
    return slots.some(({ files, fd }) => {
      const users = this.#users.get(files);
      if (!users || this.#isLeft(files, users)) return false;
      try {
        return anew(this.#kernel, () => this.#reader.find(files, fd)) === file;
      } catch (error) {
        incompleteness(error);
        return true;
      }
    });
  }

  /**
   * Whether all threads that had a table have exited, or have another one now: the memory of the first may be another
   * object's.
   */
  #isLeft(files: bigint, { processes, threads }: TableUsers): boolean {
    const tables = threads.map((thread) => this.#tableOf(thread));
    if (tables.includes(files)) return false;
    for (const [index, table] of tables.entries())
      if (table !== 0n && !this.#users.has(table))
        this.#users.set(table, { processes, threads: [threads[index]!] });
    if (tables.every((table) => table === 0n)) for (const one of processes) this.#exited.add(one);
    return true;
  }

  /** The table that a thread has now; 0n: it is exiting, or its memory is another object's. */
  #tableOf({ address, signal }: Task): bigint {
    return (
      anew(this.#kernel, () =>
        readOrNot(() => {
          const view = this.#task.read(address);
          const isExiting = (view.number('flags') & PF_EXITING) !== 0;
          return isExiting || view.pointer('signal') !== signal ? 0n : view.pointer('files');
        }),
      ) ?? 0n
    );
  }
}

/** Whose each table of files and each memory is. Faults of the task table are warnings. */
export function belongings(kernel: Kernel, warnings: Warnings): Belongings {
  const table = reportedTasks(kernel, warnings);
  const tables = new Map<bigint, TableUsers>();
  // Nobody can be told by what is no pid.
  const users = table.processes.filter((process) => !process.kernelThread && isPid(process.pid));
  for (const process of users)
    for (const thread of table.threads(process)) {
      if (thread.files === 0n) continue;
      const known = tables.get(thread.files) ?? { processes: new Set(), threads: [] };
      tables.set(thread.files, known);
      known.processes.add(process);
      known.threads.push(thread);
    }
  let memories: Map<bigint, Set<Task>> | undefined;
  return {
    tables,
    lost: table.lost,
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
        const message = `memory of pid ${process.pid}: ${(error as Error).message}`;
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
