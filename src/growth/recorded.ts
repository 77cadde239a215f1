import type { RecordedHolder, RecordedHolders } from '../contracts/recorded-holders.js';
import { type CategoryName, categoryFacts } from '../records/categories.js';
import { HOLDER_SCANS, type HolderScan } from '../records/holder-scans.js';
import type { WatchSample } from './watch/answer.js';

const EACH_MINUTE: readonly HolderScan[] = ['processes', 'caches'];
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
  readonly owner: GrownHolder | null;
}

/**
 * A holder, and its growth between two lists; if `bound`, not all of that need be growth. `share`: of the growth of the
 * category between the same lists; null if that is less than the growth of the holder, or `bound`.
 */
type GrownHolder = RecordedHolder & { readonly grownBytes: number; readonly share: number | null };

/** The kernel reclaims these itself. */
const RECLAIMED: ReadonlySet<string> = new Set<CategoryName>(['page-cache', 'slab-reclaimable', 'swap-cache']);

/** Whether growth of a category leaves less memory to others. */
export function isRetained(category: CategoryName): boolean {
  return categoryFacts(category).group !== 'free' && !RECLAIMED.has(category);
}

/** Minimum share of the growth of a named owner. */
const OWNER_SHARE = 0.25;
/** A holder may seem to grow by that much of the growth of its category, since they are read one after the other. */
const APART = 1.1;

/** The samples of one boot, by time. @param bootId null: those whose boot is unknown */
export function ofBoot({ samples, holders }: Recorded, bootId: string | null): Recorded {
  return {
    samples: samples
      .filter(({ look }) => look.machine.bootId === bootId)
      .toSorted((a, b) => a.look.machine.uptimeSeconds - b.look.machine.uptimeSeconds),
    holders: holders.filter((holder) => holder.bootId === bootId).toSorted((a, b) => a.uptimeSeconds - b.uptimeSeconds),
  };
}

/**
 * Growth of each category within the last seconds of a boot, the largest first. Only the uptime counts, which no
 * program can set.
 */
export function recordedGrowth({ samples, holders }: Recorded, seconds: number): RecordedGrowth[] {
  const end = samples.at(-1)?.look.machine.uptimeSeconds ?? 0;
  const within = samples.filter(({ look }) => look.machine.uptimeSeconds >= end - seconds);
  const names = new Set(within.flatMap(({ ledger }) => [...(ledger?.categories.keys() ?? [])]));
  const used = new Set(
    within.flatMap(({ ledger }) =>
      [...(ledger?.categories ?? [])].flatMap(([name, bytes]) => (bytes > 0 ? [name] : [])),
    ),
  );
  const grown = [...names].flatMap((category): RecordedGrowth[] => {
    const points = within.flatMap(({ look, ledger }) => {
      const bytes = ledger?.categories.get(category);
      // Memory whose counter could not be read once is unattributed there, and did not grow.
      const isOther = category === 'unattributed' && [...used].some((name) => !ledger?.categories.has(name));
      return bytes === undefined || isOther ? [] : [{ at: look.machine.uptimeSeconds, bytes }];
    });
    const rise = largestRise(points);
    if (!rise) return [];
    const [from, to] = rise;
    const owner = ownerOf(category, from.at, to.at, points, holders);
    const seconds = to.at - from.at;
    return [{ category, beforeBytes: from.bytes, bytes: to.bytes, seconds, endedSeconds: end - to.at, owner }];
  });
  return grown.toSorted((a, b) => b.bytes - b.beforeBytes - (a.bytes - a.beforeBytes));
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
): GrownHolder | null {
  const since = (all.findLast(({ uptimeSeconds }) => uptimeSeconds <= from) ?? all[0])?.uptimeSeconds ?? 0;
  const owners = HOLDER_SCANS.flatMap((scan) => {
    const lists = all.filter(({ uptimeSeconds, scans }) => uptimeSeconds >= since && scans.includes(scan));
    const before = lists.findLast(({ uptimeSeconds }) => uptimeSeconds <= from) ?? lists[0];
    // The owner may have been killed after it: the last list within the rise, or the first one after it.
    const after =
      lists.findLast(({ uptimeSeconds: at }) => at <= to && at > from) ??
      lists.find(({ uptimeSeconds }) => uptimeSeconds >= to);
    if (!before || !after) return [];
    const has = (holder: RecordedHolder) => holder.category === category && holder.scan === scan;
    // A single list tells what they hold, and not since when.
    if (after.uptimeSeconds <= before.uptimeSeconds)
      return EACH_MINUTE.includes(scan)
        ? []
        : after.holders
            .filter(has)
            .map((holder) => ({ ...holder, grownBytes: holder.bytes, share: null, bound: true }));
    const [then, now] = [before, after].map((list) => bytesAt(points, list.takenSeconds ?? list.uptimeSeconds));
    const grownThen = now! - then!;
    return grownBetween(before.holders.filter(has), before, after.holders.filter(has))
      .filter(({ grownBytes }) => grownBytes > 0 && grownBytes >= OWNER_SHARE * grownThen)
      .map((holder) => ({
        ...holder,
        share: holder.bound || holder.grownBytes > APART * grownThen ? null : holder.grownBytes / grownThen,
      }));
  }).toSorted((a, b) => b.grownBytes - a.grownBytes);
  return owners.find(({ bound }) => !bound) ?? owners[0] ?? null;
}

/** Between two samples, memory is taken to grow evenly. */
function bytesAt(points: readonly Point[], uptime: number): number {
  const before = points.findLast(({ at }) => at <= uptime) ?? points[0];
  const after = points.find(({ at }) => at > uptime);
  if (!before || !after || after === before) return before?.bytes ?? 0;
  return before.bytes + ((after.bytes - before.bytes) * (uptime - before.at)) / (after.at - before.at);
}

function grownBetween(
  before: readonly RecordedHolder[],
  { uptimeSeconds, unlistedBytes }: RecordedHolders,
  after: readonly RecordedHolder[],
): Omit<GrownHolder, 'share'>[] {
  const listed = new Map(before.map((holder) => [holder.key, holder.bytes]));
  // What is not listed is smaller than all that is, if the list was full.
  const least = Math.max(unlistedBytes, listed.size < MAX_HOLDERS ? 0 : Math.min(...listed.values()));
  return after.map((holder) => {
    const isNew = holder.beganSeconds !== null && holder.beganSeconds > uptimeSeconds;
    return { ...holder, grownBytes: holder.bytes - (listed.get(holder.key) ?? (isNew ? 0 : least)) };
  });
}

/** Maximum number of holders of a scan and category in one list. */
export const MAX_HOLDERS = 24;
