import type { Tally } from './tally.js';

/** Between so many bytes go back to the allocators. */
export interface Freed {
  /**
   * All references to these were found on what would go; and pages that a driver’s page pool has no room
   * for.
   */
  readonly low: number;
  /**
   * All that hangs on what would go, if whoever shares it lets go as well, and what the other ends of
   * its connections have still to send, if these are on this machine; without what page pools have room
   * for. Null: not all could be told.
   */
  readonly high: number | null;
  /** Of what lies between: page pools of drivers may take this back, and keep it for new packets. */
  readonly toPools: number;
  /** What page pools take back and keep: in any case, and at most (null: not known). */
  readonly keptByPools: { readonly low: number; readonly high: number | null };
  /** Why there is a difference; null where `high` is. */
  readonly between: Between | null;
}

/** What lies between the bounds, by why: its parts make up the difference. Bytes. */
export interface Between {
  /** Others hold it too. */
  readonly shared: number;
  /** Pages of page pools that may have room for them, or that others have a part of. */
  readonly pools: number;
  /** Connections keep it after their close until it has been sent and acknowledged, or given up. */
  readonly unsent: number;
  /** The other ends have still to send it; if the connection is reset, that goes too. */
  readonly peers: number;
  /** Of sockets to which something refers that was not found. */
  readonly uncertain: number;
}

/** What holds more and more of what may go. */
export interface Stages {
  /** What goes at once. */
  readonly atClose: Tally;
  /** All of the sockets that go, also what their connections keep for a while. */
  readonly own: number;
  /** The same with sockets that may go. */
  readonly possible: number;
  /** The same with what other ends have to send. */
  readonly all: Tally;
}

/** Bytes of it that go back if all of it is dropped, by everybody who holds it. */
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

/** Of a kill of which something is not known: more may go. */
export function atLeastFreed(freed: Freed): Freed {
  return { ...freed, high: null, between: null, keptByPools: { ...freed.keptByPools, high: null } };
}
