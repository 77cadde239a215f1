import { damaged, KernelError, ReadError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readFresh, readUntilConsistent } from '../live-reads.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { addError, incompleteness, type Warnings } from '../warnings.js';
import { FileTables, type OpenFile } from './files.js';
import { reportedTasks, type TaskTable } from './task-table.js';
import { isPid, PF_EXITING, type Task } from './tasks.js';

/** A process that has a file open, and the descriptor. */
export interface Holder {
  readonly task: Task;
  readonly fd: number;
}

/**
 * Tables that processes may share, each with its users. Threads count as their process, even if they have a
 * separate table (CLONE_THREAD without CLONE_FILES) or outlived the process's.
 */
export interface Belongings {
  /** By the address of a `struct files_struct`. */
  readonly tables: ReadonlyMap<bigint, TableUsers>;
  /** By the address of a `struct mm_struct`; read on first use. */
  readonly memories: () => ReadonlyMap<bigint, ReadonlySet<Task>>;
  /** Reason why tasks may be missing; undefined if none is. */
  readonly lost: TaskTable['lost'];
}

/** Processes that use a file table, and those of their threads that do. */
interface TableUsers {
  readonly processes: Set<Task>;
  readonly threads: Task[];
}

/** Processes that have a file open. */
export interface Openers {
  readonly holders: Holder[];
  /** Descriptors that refer to it, each of which is a reference; those of a shared table count once. */
  readonly slots: { readonly files: bigint; readonly fd: number }[];
}

/** Maximum number of reads of the object behind an open file of a live kernel. */
const LIVE_READS = 3;

/** Maximum number of processes that may exit on a live kernel while files are read: or one in four. */
const MAX_EXITED = 64;

/** Every open file of every process, with all its holders. A shared `files_struct` is read only once. */
export class OpenFiles {
  readonly #kernel: Kernel;
  readonly #reader: FileTables;
  readonly #task;
  readonly #users: Map<bigint, TableUsers>;
  readonly #files = new Map<bigint, Openers>();
  /** On a live kernel: processes that exited after they were found. */
  readonly #exited = new Set<Task>();
  #closed = 0;

  /** @param lost receives processes whose files cannot all be read, and the reason */
  constructor(kernel: Kernel, { tables }: Belongings, lost: (processes: ReadonlySet<Task>, error: unknown) => void) {
    this.#kernel = kernel;
    this.#reader = new FileTables(kernel);
    this.#task = new StructReader(kernel, 'task_struct', ['files', 'flags', 'signal']);
    this.#users = new Map(tables);
    // Tables that processes switch to in the meantime are added to the map, so they are read as well.
    for (const [files, users] of this.#users) {
      const openFiles: OpenFile[] = [];
      let failure: unknown;
      try {
        for (const open of this.#reader.open(files)) openFiles.push(open);
      } catch (error) {
        failure = error;
      }
      if (kernel.facts.live && this.#isLeft(files, users)) continue;
      for (const { fd, file } of openFiles) {
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
   * Reads an open file's data. On a live kernel an inconsistent result is read again.
   *
   * @returns undefined: it was closed meanwhile
   * @throws errors of `read`
   */
  read<Found>(file: bigint, read: () => Found): Found | undefined {
    try {
      return readUntilConsistent(this.#kernel, read, LIVE_READS);
    } catch (error) {
      const isOfMemory = error instanceof KernelError || error instanceof ReadError;
      if (!isOfMemory || !this.#kernel.facts.live || this.#isOpen(file)) throw error;
      this.#closed++;
      return undefined;
    }
  }

  /** Notes objects that were freed since they were found. @param what description of the read */
  note(what: string, warnings: Warnings): void {
    const { size } = this.#exited;
    if (size > 0) {
      const processes = new Set([...this.#users.values()].flatMap((users) => [...users.processes]));
      const isMany = size > Math.max(MAX_EXITED, processes.size / 4);
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
        return readFresh(this.#kernel, () => this.#reader.find(files, fd)) === file;
      } catch (error) {
        incompleteness(error);
        return true;
      }
    });
  }

  /**
   * Whether all threads that used a table have exited or use another one now: the memory of the first table
   * may have been reused.
   */
  #isLeft(files: bigint, { processes, threads }: TableUsers): boolean {
    const tables = threads.map((thread) => this.#tableOf(thread));
    if (tables.includes(files)) return false;
    for (const [index, table] of tables.entries())
      if (table !== 0n && !this.#users.has(table)) this.#users.set(table, { processes, threads: [threads[index]!] });
    if (tables.every((table) => table === 0n)) for (const process of processes) this.#exited.add(process);
    return true;
  }

  /** Returns the current file table of a thread; 0n: it is exiting, or its memory was reused. */
  #tableOf({ address, signal }: Task): bigint {
    return (
      readFresh(this.#kernel, () =>
        readOrNot(() => {
          const view = this.#task.read(address);
          const isExiting = (view.number('flags') & PF_EXITING) !== 0;
          return isExiting || view.pointer('signal') !== signal ? 0n : view.pointer('files');
        }),
      ) ?? 0n
    );
  }
}

/** Owners of each file table and each mm. Faults of the task table are warnings. */
export function sharedTables(kernel: Kernel, warnings: Warnings): Belongings {
  const table = reportedTasks(kernel, warnings);
  const tables = new Map<bigint, TableUsers>();
  // An invalid pid identifies no process.
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
        addError(warnings, `memory of pid ${process.pid}`, error);
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

/**
 * Maximum number of mappings of a process: the default limit is 65,530 (vm.max_map_count); this many are
 * corrupt.
 */
const MOST = 2 ** 20;

/**
 * Finds the processes that map a file: each mapping holds a reference to it (`vm_area_struct.vm_file`), as
 * for AF_PACKET and AF_XDP rings. The mappings of an inode are in an interval tree (mm/interval_tree.c).
 */
export class MappingReader {
  readonly #kernel: Kernel;
  readonly #file;
  readonly #area;
  readonly #node;
  readonly #root;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#file = new StructReader(kernel, 'file', ['f_mapping']);
    this.#area = new StructReader(kernel, 'vm_area_struct', ['vm_mm', 'vm_file', 'shared.rb']);
    this.#node = new StructReader(kernel, 'rb_node', ['rb_left', 'rb_right']);
    this.#root = new StructReader(kernel, 'address_space', ['i_mmap']);
  }

  /**
   * Returns the `struct mm_struct`s that map a file, once per mapping.
   *
   * @throws {ReadError} if a mapping cannot be read; {@link KernelError} `damaged` if the tree does not
   * terminate
   */
  memories(file: bigint): bigint[] {
    const mapping = this.#file.read(file).pointer('f_mapping');
    // Both rb_root_cached and rb_root (up to 4.13) begin with the root node.
    const root = this.#root.addressOf(mapping, 'i_mmap');
    const next = [pointerPartOf(this.#kernel, 'struct address_space', mapping, root)];
    const memories: bigint[] = [];
    let met = 0;
    for (let node = next.pop(); node !== undefined; node = next.pop()) {
      if (node === 0n) continue;
      if (++met > MOST) {
        throw damaged(`mapping list of file ${hex(file)} does not terminate (loop?)`);
      }
      const area = this.#area.readContainer(node, 'shared.rb');
      // Several files may share the inode.
      if (area.pointer('vm_file') === file) memories.push(area.pointer('vm_mm'));
      const links = this.#node.read(node);
      next.push(links.pointer('rb_left'), links.pointer('rb_right'));
    }
    return memories;
  }
}
