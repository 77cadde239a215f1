import type { CategoryName } from '../records/categories.js';
import type { WatchSample } from './watch/answer.js';

/** What a process, cache, file system or program holds of a category at one time. */
export interface RecordedHolder {
  readonly category: CategoryName;
  /** The same at other times of this boot. */
  readonly key: string;
  /** Untrusted. */
  readonly name: string;
  /** Null: no process. */
  readonly pid: number | null;
  readonly bytes: number;
  /** Seconds since boot at which it began; null: unknown. */
  readonly began: number | null;
  /** `bytes` is an upper bound. */
  readonly isBound?: true;
}

/** The largest holders of each category at one time. */
export interface RecordedHolders {
  readonly bootId: string | null;
  readonly uptime: number;
  readonly holders: readonly RecordedHolder[];
}

/** Contents of a ring, in the order of time within a boot. */
export interface Recorded {
  readonly samples: readonly WatchSample[];
  readonly holders: readonly RecordedHolders[];
}

/** The largest rise of a category within a time. */
export interface RecordedGrowth {
  readonly category: CategoryName;
  readonly beforeBytes: number;
  readonly bytes: number;
  readonly seconds: number;
  /** From the end of the rise to the last sample. */
  readonly endedSeconds: number;
  /** The holder that grew most; null: none has a quarter of it. */
  readonly owner: (RecordedHolder & { readonly grownBytes: number }) | null;
}

/** Minimum share of the growth of a named owner. */
const OWNER_SHARE = 0.25;

/** The samples of one boot. @param bootId null: those whose boot is unknown */
export function ofBoot({ samples, holders }: Recorded, bootId: string | null): Recorded {
  return {
    samples: samples.filter(({ look }) => look.machine.bootId === bootId),
    holders: holders.filter((one) => one.bootId === bootId),
  };
}

/**
 * Growth of each category within the last seconds of a boot, the largest first. Only the uptime counts, which no
 * program can set.
 */
export function recordedGrowth({ samples, holders }: Recorded, seconds: number): RecordedGrowth[] {
  const end = samples.at(-1)?.look.machine.uptime ?? 0;
  const within = samples.filter(({ look }) => look.machine.uptime >= end - seconds);
  const names = new Set(within.flatMap(({ ledger }) => [...(ledger?.categories.keys() ?? [])]));
  const found = [...names].flatMap((category): RecordedGrowth[] => {
    const points = within.flatMap(({ look, ledger }) => {
      const bytes = ledger?.categories.get(category);
      return bytes === undefined ? [] : [{ at: look.machine.uptime, bytes }];
    });
    const rise = largestRise(points);
    if (!rise) return [];
    const [from, to] = rise;
    const owner = ownerOf(category, from.at, to.at, points, holders);
    const seconds = to.at - from.at;
    return [{ category, beforeBytes: from.bytes, bytes: to.bytes, seconds, endedSeconds: end - to.at, owner }];
  });
  return found.toSorted((a, b) => b.bytes - b.beforeBytes - (a.bytes - a.beforeBytes));
}

interface Point {
  readonly at: number;
  readonly bytes: number;
}

function largestRise(points: readonly Point[]): readonly [Point, Point] | undefined {
  let [lowest] = points;
  let most: readonly [Point, Point] | undefined;
  for (const point of points) {
    // The last of equal points: before it nothing rose.
    if (lowest === undefined || point.bytes <= lowest.bytes) lowest = point;
    else if (!most || point.bytes - lowest.bytes > most[1].bytes - most[0].bytes) most = [lowest, point];
  }
  return most;
}

function ownerOf(
  category: string,
  from: number,
  to: number,
  points: readonly Point[],
  all: readonly RecordedHolders[],
): RecordedGrowth['owner'] {
  const before = all.findLast(({ uptime }) => uptime <= from) ?? all[0];
  // The owner may have been killed after it: the last list within the rise, or the first one after it.
  const after = all.findLast(({ uptime }) => uptime <= to && uptime > from) ?? all.find(({ uptime }) => uptime >= to);
  if (!before || !after || after.uptime <= before.uptime) return null;
  const bytesAt = (uptime: number) => points.findLast(({ at }) => at <= uptime)?.bytes ?? points[0]?.bytes ?? 0;
  const grownThen = bytesAt(after.uptime) - bytesAt(before.uptime);
  const listed = new Map(before.holders.filter((one) => one.category === category).map((one) => [one.key, one.bytes]));
  // What is not listed is smaller than all that is, if the list was full.
  const least = listed.size < MOST_HOLDERS ? 0 : Math.min(...listed.values());
  const grown = after.holders
    .filter((one) => one.category === category)
    .map((one) => {
      const isNew = one.began !== null && one.began > before.uptime;
      return { ...one, grownBytes: one.bytes - (listed.get(one.key) ?? (isNew ? 0 : least)) };
    })
    .toSorted((a, b) => b.grownBytes - a.grownBytes);
  const [most] = grown;
  return most && most.grownBytes > 0 && most.grownBytes >= OWNER_SHARE * grownThen ? most : null;
}

/** Maximum number of holders of a category in one list. */
export const MOST_HOLDERS = 24;
