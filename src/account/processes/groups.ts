import { grouped } from '../../base/grouped.js';
import type { KilledTogether } from './killed-together.js';
import { type ProcessFigures, type ProcessSizes, SIZES } from './process.js';

/** By what processes are added up. */
export const GROUPINGS = ['user', 'cgroup', 'pod', 'container', 'command'] as const;

export type ProcessGrouping = (typeof GROUPINGS)[number];

/** Processes that have something in common. */
export interface ProcessGroup extends ProcessSizes {
  /** What they have in common; null: they have none, or it is not known. Hostile. */
  readonly key: string | null;
  readonly members: readonly ProcessFigures[];
  /** Killing all of them frees no more than this; null: nothing bounds it. `freed` is the least. */
  readonly freedMost: number | null;
  readonly processes: number;
  /** What sockets pin is no count. */
  readonly networkEstimated: boolean;
  /** Every figure of every process is known: else sums are of those that are. */
  readonly complete: boolean;
}

/**
 * Sums of processes by what they have in common. RSS counts pages that several map once for each: only PSS,
 * USS, swap and page tables add up to memory.
 *
 * @param nameOf the name of a user by its number
 * @param killedTogether what killing each group as a whole frees
 */
export function groupsOf(
  processes: readonly ProcessFigures[],
  by: ProcessGrouping,
  nameOf: (uid: number) => string,
  killedTogether: KilledTogether,
): ProcessGroup[] {
  const groups = [...grouped(processes, (process) => keyOf(process, by, nameOf))];
  const bounds = killedTogether(groups.map(([, own]) => own));
  return groups.map(([key, own], at) => {
    const { least = null, most = null } = bounds[at] ?? {};
    return { key, members: own, ...totalOf(own), freed: least, freedMost: most };
  });
}

/** What all of some processes come to. */
export function totalOf(
  processes: readonly ProcessFigures[],
): Omit<ProcessGroup, 'key' | 'members' | 'freedMost'> {
  const sums = Object.fromEntries(SIZES.map((size) => [size, sumOf(processes, size)]));
  return {
    ...(sums as unknown as ProcessSizes),
    processes: processes.length,
    networkEstimated: processes.some(({ networkEstimate }) => networkEstimate !== undefined),
    complete: processes.every(({ complete }) => complete),
  };
}

/** Null where it is known of none of them. */
function sumOf(processes: readonly ProcessFigures[], size: keyof ProcessSizes): number | null {
  let sum: number | null = null;
  for (const process of processes) {
    const own = process[size];
    if (own !== null) sum = (sum ?? 0) + own;
  }
  return sum;
}

function keyOf(
  { comm, uid, cgroup }: ProcessFigures,
  by: ProcessGrouping,
  nameOf: (uid: number) => string,
): string | null {
  switch (by) {
    case 'command':
      return comm;
    case 'user':
      return uid === null ? null : nameOf(uid);
    case 'cgroup':
      return cgroup?.path ?? null;
    case 'pod':
      return cgroup?.pod ?? null;
    case 'container':
      return cgroup?.container ?? null;
  }
}
