import { damaged, KernelError, ReadError, WalkError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { TornList } from '../list.js';
import { oncePerDump } from '../live-reads.js';
import { incompleteness, type Warning, type WarningCode, type Warnings } from '../warnings.js';
import { type PidEntry, type PidTable, pidTable, taskCounters } from './pid-table.js';
import { TaskFacts } from './task-facts.js';
import { duplicatePidMessage, type ListedTask, type Task, TaskReader } from './tasks.js';

/**
 * Every task of a kernel except the idle tasks, found in two independent ways: the lists of processes and of
 * their threads, and the pids of the initial namespace. Each adds what the other one misses.
 */
export interface TaskTable {
  /** Processes by their leaders, in task list order; then those found only by their pids. */
  readonly processes: readonly Task[];
  /** Returns the threads of a process, including its leader. */
  threads(process: Task): readonly Task[];
  /** @throws {ReadError}, {@link KernelError} the reason why threads of a process may be missing */
  checkThreads(process: Task): void;
  /** Returns the `struct mm_struct` of a thread; 0n if it has none. */
  memory(thread: Task): bigint;
  /** Inconsistent facts about tasks, and unreadable tasks. */
  readonly faults: readonly Warning[];
  /** Reason why tasks may be missing; undefined if none is. */
  readonly lost: KernelError | ReadError | undefined;
  /** Reason why processes may be missing, not only threads of processes that were found. */
  readonly lostProcesses: KernelError | ReadError | undefined;
}

/** Maximum number of reads of a live kernel's tasks: an inconsistency that disappears was a race. */
const LIVE_READS = 3;

/** The task table of a kernel. On a live kernel only persistent contradictions count. */
export function taskTable(kernel: Kernel): TaskTable {
  return oncePerDump(kernel, kernel.facts.live ? readLive : readTable);
}

/** Faults that mean that the table is wrong, not only unknown. */
export function contradictions({ faults }: TaskTable): readonly Warning[] {
  return faults.filter(({ code }) => code !== 'unreadable' && code !== 'unsupported-layout');
}

/** Returns the task table, with a warning for each fault. @throws as {@link taskTable} */
export function reportedTasks(kernel: Kernel, warnings: Warnings): TaskTable {
  const table = taskTable(kernel);
  for (const { code, message } of table.faults) warnings.add(code, message);
  return table;
}

function readLive(kernel: Kernel): TaskTable {
  let forget = kernel.noteReads();
  let table = readTable(kernel);
  for (let reads = 1; reads < LIVE_READS && table.faults.length > 0; reads++) {
    const before = new Set(table.faults.map(({ message }) => message));
    forget();
    forget = kernel.noteReads();
    const next = readTable(kernel);
    // Losses of the last read count, even if other reads lose something else.
    const counts = ({ code, message }: Warning) =>
      before.has(message) || (next.lost !== undefined && code !== 'corrupt');
    table = { ...next, faults: next.faults.filter(counts) };
  }
  return table;
}

/** Whether all entries were found and are valid. */
function isComplete({ unread, faults }: Pick<PidTable, 'unread' | 'faults'>): boolean {
  return unread === undefined && faults.length === 0;
}

function readTable(kernel: Kernel): TaskTable {
  return new TableReader(kernel).read();
}

/** Builds a task table. */
class TableReader {
  readonly #kernel: Kernel;
  readonly #reader: TaskReader;
  readonly #facts: TaskFacts;
  readonly #faults: Warning[] = [];
  readonly #processes: ListedTask[] = [];
  /** Threads by the address of their leader. */
  readonly #threads = new Map<bigint, ListedTask[]>();
  /** Tasks by address. */
  readonly #all = new Map<bigint, ListedTask>();
  #lost: KernelError | ReadError | undefined;
  /** Reasons why threads may be missing, by the address of their leader. */
  readonly #lostThreads = new Map<bigint, KernelError | ReadError>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#reader = new TaskReader(kernel);
    this.#facts = new TaskFacts(kernel);
  }

  read(): TaskTable {
    const lostProcesses = this.#attempt('the process list', () => {
      for (const process of this.#reader.processes()) this.#addProcess(process);
    });
    const pids = this.#pidTable();
    if (pids) this.#compare(pids);
    if (!this.#kernel.facts.live && this.#lost === undefined) this.#count(pids);
    this.#checkPids();
    const checked = this.#facts.check(this.#processes, (task) => this.#threadsOf(task));
    for (const message of checked.faults) this.#fault('corrupt', message);
    const processes = this.#processes.map((task) => checked.corrected(task));
    const threads = new Map(
      [...this.#threads].map(([leader, own]) => [leader, own.map((task) => checked.corrected(task))]),
    );
    return {
      processes,
      threads: ({ address }) => threads.get(address) ?? [],
      checkThreads: ({ address }) => {
        const lost = this.#lostThreads.get(address);
        if (lost) throw lost;
      },
      memory: (task) => checked.memory(task),
      faults: this.#faults,
      lost: this.#lost,
      lostProcesses,
    };
  }

  #fault(code: WarningCode, message: string): void {
    this.#faults.push({ code, message });
  }

  /** Performs a step; if it fails, tasks are missing, and the reason is returned. */
  #attempt(what: string, step: () => void): KernelError | ReadError | undefined {
    try {
      step();
      return undefined;
    } catch (error) {
      this.#fault(incompleteness(error), `${what}: ${(error as Error).message}`);
      const lost = error as KernelError | ReadError;
      this.#lost ??= lost;
      return lost;
    }
  }

  #threadsOf({ address }: Task): readonly ListedTask[] {
    return this.#threads.get(address) ?? [];
  }

  #addProcess(process: ListedTask): void {
    this.#processes.push(process);
    this.#all.set(process.address, process);
    const own: ListedTask[] = [];
    const lost = this.#attempt(`threads of pid ${process.pid}`, () => {
      try {
        for (const thread of this.#reader.threads(process)) own.push(thread);
      } catch (error) {
        // A kernel thread has no other threads: their list may be missing.
        if (!process.kernelThread || !(error instanceof ReadError)) throw error;
      }
    });
    if (lost) this.#lostThreads.set(process.address, lost);
    // A thread list without the leader belongs to another process.
    const isOn = own.some(({ address }) => address === process.address);
    const threads = isOn ? own : [process];
    this.#threads.set(process.address, threads);
    for (const thread of threads) this.#all.set(thread.address, thread);
  }

  /** The pid table; undefined: the lists can only be compared with the kernel's counters. */
  #pidTable(): PidTable | undefined {
    const without = (code: WarningCode, why: string, rest: string) =>
      this.#fault(code, `pid table: ${why}. Tasks are taken from the task list${rest}`);
    try {
      const pids = pidTable(this.#kernel);
      const { name, unread, faults } = pids;
      for (const message of faults) this.#fault('corrupt', message);
      if (unread) without('unreadable', unread.message, ` and the readable part of ${name}`);
      return pids;
    } catch (error) {
      const isUnknown = error instanceof KernelError && error.code === 'unsupported-layout';
      const code = isUnknown ? 'unsupported-layout' : incompleteness(error);
      without(code, (error as Error).message, ' alone');
      return undefined;
    }
  }

  /** Compares the lists with the pids, and adds tasks that the lists lack. */
  #compare({ name, entries, ...table }: PidTable): void {
    const isWhole = isComplete(table);
    const byTask = new Map<bigint, PidEntry>();
    for (const entry of entries) {
      if (entry.number !== entry.index)
        this.#fault('corrupt', `struct pid at index ${entry.index} of ${name} has number ${entry.number}`);
      if (entry.task !== 0n) byTask.set(entry.task, entry);
    }
    const extra = entries.filter(({ task }) => task !== 0n && !this.#all.has(task));
    // Leaders first: their lists contain most of the threads.
    const tasks = extra.flatMap((entry) => this.#taskOf(name, entry) ?? []);
    for (const leads of [true, false])
      for (const task of tasks) {
        if (this.#all.has(task.address) || (task.pid === task.group) !== leads) continue;
        this.#fault(
          'corrupt',
          `the pid table (${name}) and the ${leads ? 'task list (init_task.tasks)' : 'thread lists (signal_struct.thread_head)'} are inconsistent: only the first contains pid ${task.pid}`,
        );
        if (leads) this.#addProcess(task);
        else this.#addThread(task);
      }
    for (const task of this.#all.values()) {
      const entry = byTask.get(task.address);
      if (entry) this.#checkEntry(name, task, entry);
      else if (isWhole)
        this.#fault(
          'corrupt',
          `the task list (init_task.tasks) and the pid table (${name}) are inconsistent: only the first contains pid ${task.pid}`,
        );
    }
  }

  /** The task of a struct pid; undefined: there is none, which is a fault. */
  #taskOf(name: string, entry: PidEntry): ListedTask | undefined {
    const contradiction = `struct pid of ${entry.index} in ${name} points to ${hex(entry.task)}`;
    try {
      const task = this.#reader.at(entry.task, false);
      const back = this.#facts.pidOf(task);
      if (back === undefined ? task.pid === entry.index : back === entry.pid) return task;
      this.#fault('corrupt', `${contradiction}, which is not its task`);
    } catch (error) {
      this.#fault(incompleteness(error), `${contradiction}: ${(error as Error).message}`);
    }
    return undefined;
  }

  #addThread(thread: ListedTask): void {
    const leader = this.#processes.find(({ pid, signal }) => signal === thread.signal || pid === thread.group);
    this.#all.set(thread.address, thread);
    if (leader) this.#threads.get(leader.address)?.push(thread);
  }

  /**
   * Checks a task's pid by majority: the task itself, its index in the table, and the number in its struct
   * pid.
   */
  #checkEntry(name: string, task: ListedTask, entry: PidEntry): void {
    const back = this.#facts.pidOf(task);
    if (back !== undefined && back !== entry.pid)
      this.#fault(
        'corrupt',
        `pid ${task.pid} has its struct pid at ${hex(back)} (task_struct.thread_pid) and at ${hex(entry.pid)} (${name})`,
      );
    else if (task.anomaly === undefined && task.pid === entry.index) return;
    else if (entry.number === entry.index) {
      this.#fault(
        'corrupt',
        task.anomaly ?? `task ${hex(task.address)} has pid ${task.pid}, but its struct pid has number ${entry.number}`,
      );
      this.#replace({ ...task, pid: entry.index, anomaly: undefined });
    }
  }

  #replace(task: ListedTask): void {
    this.#all.set(task.address, task);
    for (const list of [this.#processes, ...this.#threads.values()]) {
      const index = list.findIndex(({ address }) => address === task.address);
      if (index >= 0) list[index] = task;
    }
  }

  /** Compares the number of tasks with the kernel's own counters. */
  #count(pids: PidTable | undefined): void {
    const counters = taskCounters(this.#kernel);
    const compare = (counted: number | undefined, name: string, found: number, what: string) => {
      if (counted === undefined || counted === found) return;
      // fork and exit change both counts under one lock, one after the other.
      const isAmid = Math.abs(counted - found) === 1;
      const reason = isAmid ? '; one is wrong, or a CPU stopped during an update' : '';
      const message = `${name} counts ${counted} ${what}, but ${found} were found${reason}`;
      this.#fault(isAmid ? 'torn-list' : 'corrupt', message);
    };
    compare(counters.threads, 'nr_threads', this.#all.size, 'threads');
    compare(counters.processes, 'process_counts', this.#processes.length, 'processes');
    if (pids && isComplete(pids)) compare(pids.allocated, `count of ${pids.name}`, pids.entries.length, 'pids');
  }

  /** Reports processes with an invalid or duplicate pid. */
  #checkPids(): void {
    const byPid = new Map<number, Task>();
    for (const process of this.#processes) {
      if (process.anomaly !== undefined) this.#fault('corrupt', process.anomaly);
      const other = byPid.get(process.pid);
      if (other && !this.#kernel.facts.live) this.#fault('corrupt', duplicatePidMessage(other, process));
      byPid.set(process.pid, process);
    }
  }
}

/**
 * @throws {WalkError} `no-such-pid`, naming the process if `pid` is the id of one of its threads; {@link
 * KernelError} `damaged` if two processes have this pid, or it is uncertain which one does; and as {@link
 * taskTable}
 */
export function findTask(kernel: Kernel, pid: number): Task {
  const live = kernel.facts.live ? findListed(kernel, pid) : undefined;
  if (live) return live;
  const { processes, threads, lost } = taskTable(kernel);
  const [first, other] = processes.filter((task) => task.pid === pid);
  if (first?.anomaly !== undefined) throw damaged(first.anomaly);
  if (first && other && !kernel.facts.live) throw damaged(duplicatePidMessage(first, other));
  if (first) return first;
  const process = processes.find((leader) => threads(leader).some((thread) => thread.pid === pid));
  if (process) {
    const message = `pid ${pid} is a thread of process ${process.pid}: use --pid ${process.pid}`;
    throw new WalkError('no-such-pid', message);
  }
  // It may be among the missing processes.
  if (lost) throw lost;
  throw new WalkError('no-such-pid', `pid ${pid} not found among the ${processes.length} processes of this kernel`);
}

/** The first task on the list with this pid, without reading the whole table of a live kernel. */
function findListed(kernel: Kernel, pid: number): Task | undefined {
  try {
    for (const task of new TaskReader(kernel).processes())
      if (task.pid === pid && task.anomaly === undefined) return task;
  } catch (error) {
    if (!(error instanceof TornList || error instanceof ReadError)) throw error;
  }
  return undefined;
}
