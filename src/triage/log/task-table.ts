/** A task in the table of who had memory when the OOM killer chose. */
export interface ListedTask {
  readonly pid: number;
  /** Hostile. */
  readonly name: string;
  /** Base pages. */
  readonly rss: number;
  readonly oomScoreAdj: number | null;
}

/** So many of the largest are kept. */
const MOST_KEPT = 5;

const HEADER = /^\[ *pid *\] +(\S.* name)$/;

/** Reads the table of tasks; its columns are those that its heading names (`dump_tasks`, mm/oom_kill.c). */
export class TaskTable {
  #columns: readonly string[] | undefined;
  #row: RegExp | undefined;
  readonly largest: ListedTask[] = [];
  tasks = 0;

  /** Whether the line is of it. */
  take(line: string): boolean {
    const heading = HEADER.exec(line)?.[1];
    if (heading !== undefined) {
      this.#columns = heading.split(/ +/).slice(0, 32);
      const numbers = this.#columns.length - 1;
      this.#row = new RegExp(`^\\[ *(\\d+)\\]((?: +-?\\d+){${numbers}}) +(.*)$`, 's');
      return true;
    }
    const row = this.#row?.exec(line);
    if (!row) return false;
    const [, pid, numbers = '', name = ''] = row;
    const values = numbers.trim().split(/ +/).map(Number);
    const value = (column: string) => values[this.#columns?.indexOf(column) ?? -1];
    const rss = value('rss');
    if (rss === undefined) return false;
    this.tasks++;
    this.largest.push({ pid: Number(pid), name, rss, oomScoreAdj: value('oom_score_adj') ?? null });
    this.largest.sort((a, b) => b.rss - a.rss).splice(MOST_KEPT);
    return true;
  }
}
