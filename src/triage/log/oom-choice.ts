/** Whom the OOM killer chose, and where it looked. */
export interface Choice {
  /** The cgroup that came to its limit; undefined: the machine ran out. Hostile, as the next. */
  readonly group: string | undefined;
  /** The cgroup of the victim. */
  readonly own: string;
  /** Of the victim, in decimal. */
  readonly pid: string;
}

const START = /^oom-kill:constraint=\w+,/;
const END = /,pid=(\d+),uid=\d+$/;

/**
 * Reads the line that says it (`dump_oom_summary`, mm/oom_kill.c). Paths may hold commas: what comes
 * behind them is sought from the end. No expression does that for all: a hostile line would take it long.
 */
export function readChoice(line: string): Choice | undefined {
  if (!START.test(line)) return undefined;
  const end = END.exec(line);
  const pid = end?.[1];
  const task = end === null ? -1 : line.lastIndexOf(',task=', end.index);
  const own = task < 0 ? -1 : line.lastIndexOf(',task_memcg=', task);
  if (own < 0 || pid === undefined) return undefined;
  const where = line.slice(0, own);
  const group = /,oom_memcg=(.*)/s.exec(where)?.[1];
  if (group === undefined && !where.endsWith(',global_oom')) return undefined;
  return { group, own: line.slice(own + ',task_memcg='.length, task), pid };
}
