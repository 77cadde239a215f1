import type { LeaksAnswer } from '../contracts/leaks.js';
import { ownFrames, type Site, type SiteFrame } from '../records/allocation-sites.js';

export type AllocationType = LeaksAnswer['type'];
/** How a recording was made. */
export type MethodCode = LeaksAnswer['method'];
/** The part of all frames or objects that is followed. */
export type Sample = LeaksAnswer['sample'];
/** Losses of a recording. None is ever counted as zero. */
export type Losses = LeaksAnswer['losses'];
/** Pages that the kernel allocated without firing an event (`alloc_pages_bulk` of some kernels). */
export type Unseen = NonNullable<LeaksAnswer['unseen']>;

type HeldTotal = LeaksAnswer['total'];

/** Amount that a site holds at one moment, not rounded. */
export interface Held extends HeldTotal {
  /** The observed amount, not scaled; null without sampling. */
  readonly sampled: number | null;
}

/** All sites at one moment. A missing site holds nothing. */
export interface Reading {
  /** Milliseconds since the recording began, on a monotonic clock. */
  readonly at: number;
  readonly held: ReadonlyMap<string, Held>;
  /**
   * Pages, if events are followed: bytes freed since the recording began that match no recorded allocation,
   * by order, minus allocations of unfollowed threads. Absent: unknown.
   */
  readonly unmatched?: ReadonlyMap<number, number>;
  /** Objects: bytes in use of each slab cache, by cache name. Absent: unknown. */
  readonly caches?: ReadonlyMap<string, CacheUse>;
}

/** Objects in use of a slab cache, from /proc/slabinfo. */
export interface CacheUse {
  readonly bytes: number;
  /** Uncertainty in bytes: slabs of CPUs count as in use. */
  readonly slack: number;
}

/** One allocation that was not freed when the recording ended. */
export interface Survivor {
  readonly site: string;
  /** Pages: number of the first frame. Objects: kernel address (64 bits). Areas: address. */
  readonly place: bigint;
  /** Bytes still held, without freed parts. */
  readonly bytes: number;
  /** Order of pages when they were allocated. */
  readonly order: number | null;
  /** Milliseconds since the recording began; null if unknown. */
  readonly since: number | null;
  /** The allocating thread as the source names it. */
  readonly tid: number | null;
  readonly command: string | null;
}

/** Why a source is incomplete. */
export interface Gap {
  /**
   * `truncated`: it ends early, or reports itself as incomplete. `malformed`: lines of unknown format, or
   * that contradict themselves. `unreadable`: a part could not be read. `sites`: allocations of sites that
   * found no room, summed as one. `largest`: it lists the largest sites only. `inaccurate`: sites with allocations that the kernel did not count.
   * `order`: times of events or files are out of order.
   */
  readonly code: 'truncated' | 'malformed' | 'unreadable' | 'sites' | 'inaccurate' | 'order' | 'largest';
  /** A file; untrusted if given by the user. */
  readonly source: string;
  readonly count: number;
}

/**
 * A recording by any method: at least two readings, the first at the beginning. Methods that follow events
 * start with an empty reading: earlier allocations are unknown.
 */
export interface Recording {
  readonly type: AllocationType;
  readonly method: MethodCode;
  readonly sample: Sample;
  readonly sites: ReadonlyMap<string, Site>;
  readonly readings: readonly Reading[];
  /** Blocks held at the end, if the method knows them; limited to the requested number. */
  readonly survivors: readonly Survivor[];
  /** Survivors left out by that limit; null: the method does not know survivors. */
  readonly survivorsLeftOut: number | null;
  readonly losses: Losses;
  readonly unseen: Unseen | null;
  /** Page frames freed without an event, by /proc/vmstat; absent: unknown. */
  readonly unseenFrees?: number;
  /** Absent: none. */
  readonly gaps?: readonly Gap[];
  /** Number of adjacent copies whose order is unknown. Absent: none. */
  readonly unknownOrder?: number;
  /** It was stopped early (Ctrl-C): its results are valid. */
  readonly endedEarly: boolean;
  /** Facts of recordings through tracefs. */
  readonly tracing?: NonNullable<LeaksAnswer['tracing']>;
}

/**
 * Merges stacks that differ only beyond the point where a CPU was interrupted into one site: a driver
 * receives packets on top of any interrupted code.
 */
export function merged(recording: Recording): Recording {
  const sites = new Map<string, Site>();
  const keys = new Map<string, string>();
  /** The first id by common key. */
  const known = new Map<string, string>();
  for (const [id, site] of recording.sites) {
    const frames = site.kind === 'stack' ? ownFrames(site.frames) : site.frames;
    // Functions without a name may be the same or not.
    const isNamed = frames.length > 0 && frames.every(({ symbol, line }) => symbol ?? line);
    const common = isNamed ? `${site.kind} ${frames.map(frameKey).join(';')}` : `id ${id}`;
    const to = known.get(common) ?? id;
    known.set(common, to);
    keys.set(id, to);
    if (to === id) sites.set(id, { ...site, frames });
  }
  if (sites.size === recording.sites.size) return { ...recording, sites };
  const of = (id: string) => keys.get(id) ?? id;
  return {
    ...recording,
    sites,
    readings: recording.readings.map((reading) => mergedReading(reading, of)),
    survivors: recording.survivors.map((survivor) => ({ ...survivor, site: of(survivor.site) })),
  };
}

function frameKey({ symbol, offset, module, line }: SiteFrame): string {
  return `${module ?? ''}!${symbol ?? ''}+${offset ?? ''}@${line ?? ''}`;
}

function mergedReading(reading: Reading, of: (id: string) => string): Reading {
  const sums = new Map<string, Held>();
  for (const [id, held] of reading.held) {
    const to = of(id);
    const sum = sums.get(to);
    sums.set(to, sum === undefined ? held : sumHeld(sum, held));
  }
  return { ...reading, held: sums };
}

/** Samples of two sites are independent: variances add up. */
function sumHeld(held: Held, other: Held): Held {
  const bytes = held.bytes + other.bytes;
  const reach = (end: 'lowBytes' | 'highBytes') => Math.hypot(held.bytes - held[end], other.bytes - other[end]);
  const orNull = (a: number | null, b: number | null) => (a === null || b === null ? null : a + b);
  return {
    bytes,
    blocks: orNull(held.blocks, other.blocks),
    lowBytes: bytes - reach('lowBytes'),
    highBytes: bytes + reach('highBytes'),
    sampled: orNull(held.sampled, other.sampled),
  };
}
