import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { WalkError } from '../../base/errors/walk.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { incompleteness } from '../incompleteness.js';
import { TornList } from '../list.js';
import { oncePerDump } from '../once-per-dump.js';
import type { Warning, WarningCode, Warnings } from '../warnings.js';
import { type PidEntry, type PidTable, pidTable } from './pid-table.js';
import { taskCounters } from './task-counters.js';
import { TaskFacts } from './task-facts.js';
import { type ListedTask, samePid, type Task, TaskReader } from './tasks.js';

/**
 * Every task of a kernel but the idle tasks, found by two independent ways: the lists of processes and of their
 * threads, and the pids of the initial namespace. What one of them lost the other adds.
 */
export interface TaskTable {
  /** Processes by their leaders, in the order of the task list; then those that only their pids lead to. */
  readonly processes: readonly Task[];
  /** The threads of a process, its leader among them. */
  threads(process: Task): readonly Task[];
  /** @throws {ReadError}, {@link KernelError} why threads of a process may be missing */
  checkThreads(process: Task): void;
  /**
   * The `struct mm_struct` of a thread; 0n: it has none.
   *
   * @throws {ReadError}
   */
  memory(thread: Task): bigint;
  /** Facts about tasks that contradict each other, and tasks that cannot be read. */
  readonly faults: readonly Warning[];
  /** Why tasks may be missing; undefined: none is. */
  readonly lost: KernelError | ReadError | undefined;
  /** Why processes may be missing, not only threads of those found. */
  readonly lostProcesses: KernelError | ReadError | undefined;
}

/** How often the tasks of a live kernel are read: a contradiction that is gone the next time was a race. */
const LIVE_READS = 3;

/**
 * The task table of a kernel. Of a live kernel only contradictions that persist count.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`
 */
export function taskTable(kernel: Kernel): TaskTable {
  return oncePerDump(kernel, kernel.facts.live ? readLive : readTable);
}

/** Faults that say that something of the table is wrong, not only that it is unknown. */
export function contradictions({ faults }: TaskTable): readonly Warning[] {
  return faults.filter(({ code }) => code !== 'unreadable' && code !== 'unsupported-layout');
}

/** The table, with a warning for each of its faults. @throws as {@link taskTable} */
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
    // What the last read lost is lost, also where each read loses something else.
    const counts = ({ code, message }: Warning) =>
      before.has(message) || (next.lost !== undefined && code !== 'corrupt');
    table = { ...next, faults: next.faults.filter(counts) };
  }
  return table;
}

/** Whether all entries were found, and are sound. */
function isComplete({ unread, faults }: Pick<PidTable, 'unread' | 'faults'>): boolean {
  return unread === undefined && faults.length === 0;
}

function readTable(kernel: Kernel): TaskTable {
  return new TableReader(kernel).read();
}

/** Puts a table together. */
class TableReader {
  readonly #kernel: Kernel;
  readonly #reader: TaskReader;
  readonly #facts: TaskFacts;
  readonly #faults: Warning[] = [];
  readonly #processes: ListedTask[] = [];
  /** By the addresses of leaders. */
  readonly #threads = new Map<bigint, ListedTask[]>();
  /** By their addresses. */
  readonly #all = new Map<bigint, ListedTask>();
  #lost: KernelError | ReadError | undefined;
  /** Why threads may be missing, by the addresses of leaders. */
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
      [...this.#threads].map(([leader, own]) => [
        leader,
        own.map((task) => checked.corrected(task)),
      ]),
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

  /** Tasks that a step does not find are lost: returns why. */
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
        // A kernel thread has no others: their list need not be there.
        if (!process.kernelThread || !(error instanceof ReadError)) throw error;
      }
    });
    if (lost) this.#lostThreads.set(process.address, lost);
    // Threads of a list that the leader is not on are another process's.
    const isOn = own.some(({ address }) => address === process.address);
    const threads = isOn ? own : [process];
    this.#threads.set(process.address, threads);
    for (const thread of threads) this.#all.set(thread.address, thread);
  }

  /** The pid table; undefined: there is nothing to compare the lists with but the kernel's counters. */
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

  /** Compares the lists with the pids, and adds what they lost. */
  #compare({ name, entries, ...table }: PidTable): void {
    const isWhole = isComplete(table);
    const byTask = new Map<bigint, PidEntry>();
    for (const entry of entries) {
      if (entry.number !== entry.index)
        this.#fault(
          'corrupt',
          `struct pid at index ${entry.index} of ${name} has number ${entry.number}`,
        );
      if (entry.task !== 0n) byTask.set(entry.task, entry);
    }
    const extra = entries.filter(({ task }) => task !== 0n && !this.#all.has(task));
    // Leaders first: their lists have most of the threads.
    const found = extra.flatMap((entry) => this.#taskOf(name, entry) ?? []);
    for (const leads of [true, false])
      for (const task of found) {
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

  /** The task that a struct pid leads to; undefined: it is none, which is a fault. */
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
    const leader = this.#processes.find(
      ({ pid, signal }) => signal === thread.signal || pid === thread.group,
    );
    this.#all.set(thread.address, thread);
    if (leader) this.#threads.get(leader.address)?.push(thread);
  }

  /** Two of three name a task's pid: the task itself, its index in the table, and the pid that it names. */
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
        task.anomaly ??
          `task ${hex(task.address)} has pid ${task.pid}, but its struct pid has number ${entry.number}`,
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

  /** Compares with the kernel's own counters. */
  #count(pids: PidTable | undefined): void {
    const counters = taskCounters(this.#kernel);
    const compare = (counted: number | undefined, name: string, found: number, what: string) => {
      if (counted === undefined || counted === found) return;
      // fork and exit change both under one lock, one after the other.
      const isAmid = Math.abs(counted - found) === 1;
      const reason = isAmid ? '; one is wrong, or a CPU stopped during an update' : '';
      const message = `${name} counts ${counted} ${what}, but ${found} were found${reason}`;
      this.#fault(isAmid ? 'torn-list' : 'corrupt', message);
    };
    compare(counters.threads, 'nr_threads', this.#all.size, 'threads');
    compare(counters.processes, 'process_counts', this.#processes.length, 'processes');
    if (pids && isComplete(pids))
      compare(pids.allocated, `count of ${pids.name}`, pids.entries.length, 'pids');
  }

  /** Processes with numbers that cannot be, or that two have. */
  #checkPids(): void {
    const byPid = new Map<number, Task>();
    for (const process of this.#processes) {
      if (process.anomaly !== undefined) this.#fault('corrupt', process.anomaly);
      const other = byPid.get(process.pid);
      if (other && !this.#kernel.facts.live) this.#fault('corrupt', samePid(other, process));
      byPid.set(process.pid, process);
    }
  }
}

/**
 * @throws {WalkError} `no-such-pid`, naming the process if `pid` is the id of one of its threads;
 *   {@link KernelError} `damaged` if two processes have it, or it is not sure which; and as
 *   {@link taskTable}
 */
export function findTask(kernel: Kernel, pid: number): Task {
  const live = kernel.facts.live ? findListed(kernel, pid) : undefined;
  if (live) return live;
  const { processes, threads, lost } = taskTable(kernel);
  const [found, other] = processes.filter((task) => task.pid === pid);
  if (found?.anomaly !== undefined) throw new KernelError('damaged', found.anomaly);
  if (found && other && !kernel.facts.live) throw new KernelError('damaged', samePid(found, other));
  if (found) return found;
  const process = processes.find((each) => threads(each).some((thread) => thread.pid === pid));
  if (process) {
    const message = `pid ${pid} is a thread of process ${process.pid}: use --pid ${process.pid}`;
    throw new WalkError('no-such-pid', message);
  }
  // It may be among those that are lost.
  if (lost) throw lost;
  throw new WalkError(
    'no-such-pid',
    `pid ${pid} not found among the ${processes.length} processes of this kernel`,
  );
}

/** The first on the list with this pid: of a live kernel the whole table need not be read for it. */
function findListed(kernel: Kernel, pid: number): Task | undefined {
  try {
    for (const task of new TaskReader(kernel).processes())
      if (task.pid === pid && task.anomaly === undefined) return task;
  } catch (error) {
    if (!(error instanceof TornList || error instanceof ReadError)) throw error;
  }
  return undefined;
}
