import type { ProcsAnswer } from './answer.js';
import { groupsOf, type ProcessGroup, type ProcessGrouping } from './groups.js';
import { type ProcessFigures, type ProcessSizes, SIZES } from './process.js';

/** By what processes can be sorted: the largest first. */
export type ProcessSort =
  | keyof ProcessSizes
  | 'threads'
  | 'ageSeconds'
  | 'oomScore'
  | 'oomScoreAdj';

/** Which processes are asked for; undefined: all. */
export interface Choice {
  readonly sort?: ProcessSort | undefined;
  readonly by?: ProcessGrouping | undefined;
  readonly select?: ((process: ProcessFigures) => boolean) | undefined;
}

/** An answer as it was asked for: the processes that were chosen, sorted, and added up. */
export interface ChosenProcs extends ProcsAnswer {
  readonly groups: readonly ProcessGroup[] | undefined;
  /** None was left out, and none is hidden. */
  readonly whole: boolean;
}

/** @param nameOf the name of a user by its number */
export function chosen(
  answer: ProcsAnswer,
  { sort = 'freed', by, select = () => true }: Choice,
  nameOf: (uid: number) => string,
): ChosenProcs {
  const processes = answer.processes.filter(select).toSorted(
    (a, b) =>
      // Where what is sorted by is not known, RSS tells which are large.
      (b[sort] ?? -1) - (a[sort] ?? -1) || (b.rss ?? -1) - (a.rss ?? -1) || a.pid - b.pid,
  );
  const size = (SIZES as readonly string[]).includes(sort) ? (sort as keyof ProcessSizes) : 'freed';
  const groups =
    by && groupsOf(processes, by, nameOf).toSorted((a, b) => (b[size] ?? -1) - (a[size] ?? -1));
  const whole = answer.hidden !== true && processes.length === answer.processes.length;
  return { ...answer, processes, groups, whole };
}
