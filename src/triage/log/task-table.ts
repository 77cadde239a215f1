import type { ListedTask, TaskGroup, TaskMemory } from '../../contracts/log-reports.js';

/** A row, in base pages; page tables in bytes if the table has bytes. Null: no such column. */
interface Row {
  readonly pid: number;
  readonly tgid: number | null;
  readonly name: string;
  readonly uid: number | null;
  readonly totalVm: number | null;
  readonly rss: number;
  readonly swap: number | null;
  readonly tablePages: number | null;
  readonly tableBytes: number | null;
  readonly oomScoreAdj: number | null;
}

/** Maximum number of tasks; the largest are kept. */
const MAX_KEPT = 100;
/** Maximum number of names; other processes are counted as one group. */
const MAX_NAMES = 4096;

const HEADER = /^\[ *pid *\] +(\S.* name)$/;

/** Parses the task table; its heading names the columns (`dump_tasks`, mm/oom_kill.c). */
export class TaskTable {
  #columns: readonly string[] | undefined;
  #row: RegExp | undefined;
  readonly #kept: Row[] = [];
  readonly #byName = new Map<string, Row & { readonly count: number }>();
  #all: Row | undefined;
  #most: Row | undefined;
  /**
   * Rows by pid, for processes that the report names: the victim, and the process that invoked the OOM
   * killer.
   */
  readonly #rows = new Map<number, Row>();
  tasks = 0;

  get isPrinted(): boolean {
    return this.#columns !== undefined;
  }

  /** Whether the line belongs to the task table. */
  take(line: string): boolean {
    const heading = HEADER.exec(line)?.[1];
    if (heading !== undefined) {
      this.#columns = heading.split(/ +/).slice(0, 32);
      const numbers = this.#columns.length - 1;
      this.#row = new RegExp(`^\\[ *(\\d+)\\]((?: +-?\\d+){${numbers}}) +(.*)$`, 's');
      return true;
    }
    const match = this.#row?.exec(line);
    if (!match) return false;
    const [, pid, numbers = '', name = ''] = match;
    const values = numbers.trim().split(/ +/).map(Number);
    const value = (column: string) => values[this.#columns?.indexOf(column) ?? -1] ?? null;
    const rss = value('rss');
    if (rss === null) return false;
    const tables = ['nr_ptes', 'nr_pmds', 'nr_puds'].map(value);
    const row = {
      pid: Number(pid),
      name,
      rss,
      uid: value('uid'),
      totalVm: value('total_vm'),
      tgid: value('tgid'),
      swap: value('swapents'),
      tablePages: tables[0] === null ? null : tables.reduce<number>((sum, n) => sum + (n ?? 0), 0),
      tableBytes: value('pgtables_bytes'),
      oomScoreAdj: value('oom_score_adj'),
    };
    this.#count(row);
    return true;
  }

  #count(row: Row): void {
    this.tasks++;
    this.#all = added(this.#all, row);
    if (row.rss > (this.#most?.rss ?? -1)) this.#most = row;
    if (this.#rows.size < MAX_NAMES) this.#rows.set(row.pid, row);
    const name = this.#byName.has(row.name) || this.#byName.size < MAX_NAMES ? row.name : '';
    const group = this.#byName.get(name);
    this.#byName.set(name, { ...added(group, row), name, count: (group?.count ?? 0) + 1 });
    this.#kept.push(row);
    if (this.#kept.length > 2 * MAX_KEPT) largestFirst(this.#kept).splice(MAX_KEPT);
  }

  /** Sums of all tasks, bytes; null: there is no table. */
  sum(pageSize: number): TaskMemory | null {
    return this.#all === undefined ? null : memoryOf(this.#all, pageSize);
  }

  largest(pageSize: number): ListedTask[] {
    return largestFirst(this.#kept)
      .slice(0, MAX_KEPT)
      .map((row) => taskOf(row, pageSize));
  }

  /** The task with the largest RSS. */
  mostResident(pageSize: number): ListedTask | undefined {
    return this.#most && taskOf(this.#most, pageSize);
  }

  byName(pageSize: number): TaskGroup[] {
    return largestFirst([...this.#byName.values()])
      .slice(0, MAX_KEPT)
      .map((group) => ({ name: group.name, tasks: group.count, ...memoryOf(group, pageSize) }));
  }

  of(pid: number, pageSize: number): ListedTask | undefined {
    const row = this.#rows.get(pid);
    return row && taskOf(row, pageSize);
  }

  /** Address space of a process in pages, from which the page size is derived. */
  totalVmOf(pid: number): number | null {
    return this.#rows.get(pid)?.totalVm ?? null;
  }
}

function added(sum: Row | undefined, row: Row): Row {
  if (sum === undefined) return row;
  const plus = (a: number | null, b: number | null) => (a === null || b === null ? null : a + b);
  return {
    ...row,
    rss: sum.rss + row.rss,
    swap: plus(sum.swap, row.swap),
    tablePages: plus(sum.tablePages, row.tablePages),
    tableBytes: plus(sum.tableBytes, row.tableBytes),
  };
}

/** Pages, with page tables as 4 KiB each: for sorting only. */
function size({ rss, swap, tablePages, tableBytes }: Row): number {
  return rss + (swap ?? 0) + (tablePages ?? (tableBytes ?? 0) / 4096);
}

function largestFirst<T extends Row>(rows: T[]): T[] {
  return rows.sort((a, b) => size(b) - size(a));
}

function memoryOf({ rss, swap, tablePages, tableBytes }: Row, pageSize: number): TaskMemory {
  return {
    rssBytes: rss * pageSize,
    swapBytes: swap === null ? null : swap * pageSize,
    pageTableBytes: tableBytes ?? (tablePages === null ? null : tablePages * pageSize),
  };
}

function taskOf(row: Row, pageSize: number): ListedTask {
  const { pid, tgid, name, uid, totalVm, oomScoreAdj } = row;
  const totalVmBytes = totalVm === null ? null : totalVm * pageSize;
  return { pid, tgid, name, uid, ...memoryOf(row, pageSize), totalVmBytes, oomScoreAdj };
}
