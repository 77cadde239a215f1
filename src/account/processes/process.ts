import { WalkError } from '../../base/errors.js';
import type { ProcessIdentity } from '../../records/processes.js';

/** Names of the sizes, in the order of the output. */
export const SIZES = [
  /** Mapped pages, including those that other processes map; without hugetlb pages. */
  'rss',
  /** The same, with each page divided by its number of mappings. */
  'pss',
  /** Pages without another mapping. */
  'uss',
  ...([
    'anonymous',
    'file',
    'shmem',
    'swap',
    'swapPss',
    'hugetlb',
    'pageTables',
    'locked',
  ] as const),
  /** Network memory pinned by its sockets, including shared parts. */
  'network',
  /**
   * Lower bound of the memory freed by a kill: USS, swap, page tables, and the exclusive memory of its
   * sockets. Null if one of the first three is unknown; the sockets' part counts if it is known.
   */
  'freed',
] as const;

/** Memory of a process, bytes; null: unknown. */
export type ProcessSizes = Readonly<Record<(typeof SIZES)[number], number | null>>;

/** Estimate of the memory pinned by sockets, bytes: low ≤ likely; null: no upper bound. */
export interface NetworkEstimate {
  readonly low: number;
  readonly likely: number;
  readonly atMost: number | null;
}

/** PSS by kind of page, bytes. */
export interface PssByKind {
  readonly anonymous: number;
  readonly shmem: number;
  readonly file: number;
}

/** A process, or several processes that share their memory. */
export interface ProcessFigures extends ProcessIdentity, ProcessSizes {
  /** Start time in ticks of USER_HZ since boot: with the pid, it identifies a process. */
  readonly started: number | null;
  /** Other processes with the same memory (CLONE_VM, vfork), which have no row of their own. */
  readonly sharedWith: readonly number[];
  /** Parts of `pss`; absent: unknown, or not reported by the kernel (smaps_rollup since 5.4). */
  readonly pssByKind?: PssByKind | undefined;
  /** Present if `network` is only an estimate within these bounds. */
  readonly networkEstimate?: NetworkEstimate | undefined;
  /** Whether all figures that this source has for a process were readable. */
  readonly complete: boolean;
}

/** Returns the memory that is freed when a process exits, excluding memory of its sockets. */
export function ownBytes(
  { uss, pageTables }: Pick<ProcessSizes, 'uss' | 'pageTables'>,
  swap: number | null,
): number | null {
  return uss === null || swap === null || pageTables === null ? null : uss + swap + pageTables;
}

/** Lower bound of the swap that no other process has: a shared entry counts at most half in its share. */
export function ownSwap({ swap, swapPss }: Pick<ProcessSizes, 'swap' | 'swapPss'>): number | null {
  return swap === null ? null : Math.max(2 * (swapPss ?? 0) - swap, 0);
}

/**
 * Returns the only selected process.
 *
 * @throws {WalkError} `no-such-pid` if there is none, or several
 */
export function onlyOne(
  processes: readonly ProcessFigures[],
  select: (process: ProcessFigures) => boolean,
): ProcessFigures {
  const [first, ...others] = processes.filter(select);
  if (!first) throw new WalkError('no-such-pid', 'no process matches --pid and --container');
  if (others.length > 0) {
    const pids = [first, ...others].map(({ pid }) => pid).join(', ');
    throw new WalkError(
      'no-such-pid',
      `--pid and --container match several processes (pid ${pids} on the host): give more of the container’s id`,
    );
  }
  return first;
}
