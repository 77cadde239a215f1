import { readdirSync, readFileSync } from 'node:fs';

/**
 * Events that came while a program of bpftrace's ran on that CPU, as an interrupt's do: the kernel runs none for
 * them. It counts these of tracepoints since 6.7 (`recursion_misses` of fdinfo); before that the figure stays 0, and
 * only /proc/vmstat tells of them.
 *
 * @returns null: not told
 */
export function missedRuns(pid: number): number | null {
  const folder = `/proc/${pid}/fdinfo`;
  let sum: number | null = null;
  const seen = new Set<string>();
  try {
    for (const descriptor of readdirSync(folder)) {
      const text = readFileSync(`${folder}/${descriptor}`, 'latin1');
      const id = /^prog_id:\t(\d{1,10})$/m.exec(text)?.[1];
      const missed = /^recursion_misses:\t(\d{1,15})$/m.exec(text)?.[1];
      if (id === undefined || missed === undefined || seen.has(id)) continue;
      seen.add(id);
      sum = (sum ?? 0) + Number(missed);
    }
  } catch {
    return null;
  }
  return sum;
}
