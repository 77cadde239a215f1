import type { SkbProcessJson } from '../answers/schema.js';
import type { Tally } from './tally.js';

/** Bounds of the bytes that are returned to the allocators. */
export type Freed = SkbProcessJson['freedIfKilled'];

/** The difference between the bounds by reason: its parts sum to it. Bytes. */
export type Between = NonNullable<Freed['between']>;

/** Successive stages of memory that may be freed. */
export interface Stages {
  /** Freed at once. */
  readonly atClose: Tally;
  /** Bytes of all sockets that are freed, including data that their connections keep for a while. */
  readonly own: number;
  /** The same, including sockets that may be freed. */
  readonly possible: number;
  /** The same, including unsent data of the peers. */
  readonly all: Tally;
}

/** Bytes freed if every holder drops all of it. */
export function droppedBytes(tally: Tally): number {
  return tally.figures().pinnedBytes - tally.shares().pooled.keptOfAll;
}

export function freedOfStages({ atClose, own, possible, all }: Stages): Freed {
  const { exclusiveBytes: low, sharedBytes, pooled } = atClose.shares();
  const { pinnedBytes, complete } = all.figures();
  const { keptOfAll, keptAtMost, bytes } = all.shares().pooled;
  const high = pinnedBytes - keptOfAll;
  const first = atClose === all ? high : droppedBytes(atClose);
  const shared = sharedBytes - (pooled.bytes - pooled.freed);
  const between = {
    shared,
    pools: first - low - shared,
    unsent: own - first,
    uncertain: possible - own,
    peers: high - possible,
  };
  return {
    low,
    high: complete ? high : null,
    toPools: (keptAtMost ?? bytes) - keptOfAll,
    keptByPools: { low: pooled.kept, high: complete ? keptAtMost : null },
    between: complete ? between : null,
  };
}

/** The result of a kill that is partly unknown: more may be freed. */
export function atLeastFreed(freed: Freed): Freed {
  return { ...freed, high: null, between: null, keptByPools: { ...freed.keptByPools, high: null } };
}
