/** Whom the OOM killer chose, and where it looked. Null: not printed. */
export interface Choice {
  /** `NONE`, `CPUSET`, `MEMORY_POLICY`, `MEMCG`. */
  readonly constraint: string;
  readonly nodemask: string | null;
  readonly cpuset: string | null;
  readonly memsAllowed: string | null;
  /** The cgroup that came to its limit; undefined: the machine ran out. Hostile, as the next. */
  readonly group: string | undefined;
  /** The cgroup of the victim; undefined: the kernel has no memcgs. */
  readonly own: string | undefined;
  /** Of the victim, in decimal. */
  readonly pid: string;
  readonly comm: string;
  readonly uid: string;
}

const START = /^oom-kill:constraint=CONSTRAINT_(\w+),/;
const END = /,pid=(\d+),uid=(\d+)$/;

/**
 * Reads the line that says it (`dump_oom_summary`, mm/oom_kill.c). Paths may hold commas: what comes
 * behind them is sought from the end. No expression does that for all: a hostile line would take it long.
 */
export function readChoice(line: string): Choice | undefined {
  const constraint = START.exec(line)?.[1];
  const end = END.exec(line);
  if (constraint === undefined || end === null) return undefined;
  const [, pid = '', uid = ''] = end;
  const task = line.lastIndexOf(',task=', end.index);
  if (task < 0) return undefined;
  const who = { pid, uid, comm: line.slice(task + ',task='.length, end.index) };
  const own = line.lastIndexOf(',task_memcg=', task);
  const where = line.slice(0, own < 0 ? task : own);
  const group = /,oom_memcg=(.*)/s.exec(where)?.[1];
  const isMachine = group === undefined && where.endsWith(',global_oom');
  const [all = '', nodemask = null, cpuset = null, memsAllowed = null] =
    /,nodemask=(\(null\)|[\d,-]*),cpuset=(.*?),mems_allowed=([\d-]+(?:,[\d-]+)*)/s.exec(where) ??
    [];
  // Without CONFIG_MEMCG nothing stands between.
  if (own < 0 ? all === '' || !where.endsWith(all) : group === undefined && !isMachine)
    return undefined;
  return {
    constraint,
    nodemask,
    cpuset,
    memsAllowed,
    group,
    ...who,
    own: own < 0 ? undefined : line.slice(own + ',task_memcg='.length, task),
  };
}
