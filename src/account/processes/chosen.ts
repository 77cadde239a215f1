import type { CgroupMemory } from '../../records/cgroups.js';
import {
  groupsOf,
  type KilledTogether,
  killedByShares,
  type ProcessGroup,
  type ProcessGrouping,
} from './groups.js';
import { type ProcessFigures, type ProcessSizes, type ProcsAnswer, SIZES } from './process.js';

/** Sort orders of processes: largest first. */
export type ProcessSort =
  | keyof ProcessSizes
  | 'threads'
  | 'ageSeconds'
  | 'oomScore'
  | 'oomScoreAdj';

/** Process filter; undefined fields select all. */
export interface Choice {
  readonly sort?: ProcessSort | undefined;
  readonly by?: ProcessGrouping | undefined;
  readonly select?: ((process: ProcessFigures) => boolean) | undefined;
}

/** The selected processes of an answer, sorted, with their sums. */
export interface ChosenProcs extends ProcsAnswer {
  readonly groups: readonly ProcessGroup[] | undefined;
  /** Whether no process was excluded or hidden. */
  readonly whole: boolean;
  /** Memory of the cgroups of `groups`, by path; undefined: not requested, or the source has none. */
  readonly cgroups?: ReadonlyMap<string, CgroupMemory | null>;
}

/**
 * @param nameOf returns the name of a user by id
 * @param killedTogether returns exact figures, if more than shares is known
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

/** Sizes that are part of RSS, which any user may read: if one is unknown, RSS is its maximum. */
const PARTS_OF_RSS: ReadonlySet<ProcessSort> = new Set<ProcessSort>([
  ...(['freed', 'uss', 'pss', 'anonymous', 'file', 'shmem', 'locked'] as const),
]);

/**
 * Returns the sort key of a process. An unknown part of RSS counts as all of RSS, so that no limit hides the
 * largest process.
 */
function keyOf(process: ProcessFigures, sort: ProcessSort): number {
  return process[sort] ?? (PARTS_OF_RSS.has(sort) ? process.rss : null) ?? -1;
}

/**
 * Returns the sort key of a group: its figure, or the sum of its processes' sort keys if a figure is unknown.
 */
function groupKey(group: ProcessGroup, size: keyof ProcessSizes): number {
  const { members } = group;
  if (members.every((process) => process[size] !== null)) return group[size] ?? -1;
  return members.reduce((sum, process) => sum + Math.max(keyOf(process, size), 0), 0);
}
