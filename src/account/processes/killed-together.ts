import type { ProcsAnswer } from './answer.js';
import { ownSwap, type ProcessFigures } from './process.js';

/** What killing a whole group frees, bytes; null: unknown. */
export interface KillBounds {
  readonly least: number | null;
  readonly most: number | null;
}

/** Of each group, what killing all its processes frees. */
export type KilledTogether = (groups: readonly (readonly ProcessFigures[])[]) => KillBounds[];

/**
 * Bounds by the shares that the kernel reports. A page that is freed has all its mappings in the group, so that PSS
 * of the group has all of it: the sum of PSS is the most. A page that is mapped outside as well takes from PSS of the
 * group at most what it takes from RSS of the processes outside: with k mappings, j of them outside, its part in the
 * group is (k - j)/k <= j(k - 1)/k. What PSS of the group exceeds these differences by is the group's own. That is told of
 * anonymous memory alone, whose sharers (children of one process, KSM) must all be seen.
 */
export function killedByShares(answer: ProcsAnswer): KilledTogether {
  const all = answer.processes;
  // Only the initial pid namespace shows kernel threads, and all processes.
  const seen = !answer.hidden && (answer.kernel !== undefined || answer.kernelThreads > 0);
  const anonymous = seen
    ? sharedParts(all, ({ anonymous, pssByKind }) => [anonymous, pssByKind?.anonymous])
    : null;
  const swap = seen ? sharedParts(all, ({ swap, swapPss }) => [swap, swapPss]) : null;
  return (groups) => groups.map((members) => boundsOf(members, anonymous, swap));
}

/**
 * By process: how much of it is, by its share, of others: all of it where its share is unknown. Null: of one not even
 * the size is known.
 */
function sharedParts(
  processes: readonly ProcessFigures[],
  of: (process: ProcessFigures) => readonly [number | null, number | null | undefined],
): ReadonlyMap<ProcessFigures, number> | null {
  const parts = new Map<ProcessFigures, number>();
  for (const process of processes) {
    const [whole, share] = of(process);
    if (whole === null) return null;
    parts.set(process, Math.max(whole - (share ?? 0), 0));
  }
  return parts;
}

function boundsOf(
  members: readonly ProcessFigures[],
  anonymous: ReadonlyMap<ProcessFigures, number> | null,
  swap: ReadonlyMap<ProcessFigures, number> | null,
): KillBounds {
  const known = members.filter(({ freed }) => freed !== null);
  if (known.length === 0) return { least: null, most: null };
  const own = sum(known, ({ uss }) => uss);
  const pages = anonymous
    ? sum(known, ({ uss, pssByKind }) => Math.max(uss ?? 0, pssByKind?.anonymous ?? 0)) -
      outside(anonymous, members)
    : 0;
  // What the rows have besides USS and swap: page tables, and of a dump what their sockets hold alone.
  const others = sum(known, (one) => one.freed! - one.uss! - (ownSwap(one) ?? 0));
  const least = Math.max(own, pages) + others + leastSwap(known, members, swap);
  const whole = known.length === members.length && members.every(({ pss }) => pss !== null);
  const most = sum(members, ({ pss, swap: swapped }) => (pss ?? 0) + (swapped ?? 0)) + others;
  // Shares are rounded down.
  return { least, most: whole ? Math.max(most, least) : null };
}

/** An entry that several have is freed with the last of them; each counts it. */
function leastSwap(
  known: readonly ProcessFigures[],
  members: readonly ProcessFigures[],
  parts: ReadonlyMap<ProcessFigures, number> | null,
): number {
  const alone = sum(known, ownSwap);
  if (parts === null) return alone;
  return Math.max(alone, sum(known, ({ swapPss }) => swapPss) - outside(parts, members));
}

function outside(
  parts: ReadonlyMap<ProcessFigures, number>,
  members: readonly ProcessFigures[],
): number {
  let all = 0;
  for (const part of parts.values()) all += part;
  return all - sum(members, (member) => parts.get(member) ?? 0);
}

function sum(
  processes: readonly ProcessFigures[],
  of: (process: ProcessFigures) => number | null,
): number {
  return processes.reduce((total, process) => total + (of(process) ?? 0), 0);
}
