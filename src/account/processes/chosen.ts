import type { ProcsAnswer } from './answer.js';
import { groupsOf, type ProcessGroup, type ProcessGrouping } from './groups.js';
import { type KilledTogether, killedByShares } from './killed-together.js';
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

/**
 * @param nameOf the name of a user by its number
 * @param killedTogether where more is known than shares tell
 */
export function chosen(
  answer: ProcsAnswer,
  { sort = 'freed', by, select = () => true }: Choice,
  nameOf: (uid: number) => string,
  killedTogether: KilledTogether = killedByShares(answer),
): ChosenProcs {
  const processes = answer.processes
    .filter(select)
    .toSorted(
      (a, b) => keyOf(b, sort) - keyOf(a, sort) || (b.rss ?? -1) - (a.rss ?? -1) || a.pid - b.pid,
    );
  const size = (SIZES as readonly string[]).includes(sort) ? (sort as keyof ProcessSizes) : 'freed';
  const groups =
    by &&
    groupsOf(processes, by, nameOf, killedTogether).toSorted(
      (a, b) => groupKey(b, size) - groupKey(a, size),
    );
  const whole = answer.hidden !== true && processes.length === answer.processes.length;
  return { ...answer, processes, groups, whole };
}

/** Sizes that are part of RSS, which any user may read: where one is unknown, RSS is the most it can be. */
const PARTS_OF_RSS: ReadonlySet<ProcessSort> = new Set<ProcessSort>([
  ...(['freed', 'uss', 'pss', 'anonymous', 'file', 'shmem', 'locked'] as const),
]);

/** Its place in the order. An unknown part of RSS counts as all of it, so that no limit hides the largest. */
function keyOf(process: ProcessFigures, sort: ProcessSort): number {
  return process[sort] ?? (PARTS_OF_RSS.has(sort) ? process.rss : null) ?? -1;
}

/** The same of a group: its figure, or what its processes count as where some figure is unknown. */
function groupKey(group: ProcessGroup, size: keyof ProcessSizes): number {
  const { members } = group;
  if (members.every((process) => process[size] !== null)) return group[size] ?? -1;
  return members.reduce((sum, process) => sum + Math.max(keyOf(process, size), 0), 0);
}
