import { type Course, courseOf, notCompared } from './course.js';
import type { CategoryMeasure, Item, Listing, Measure, Who } from './state.js';

/**
 * `new`: not there at first. `gone`: not there at last. `was-empty`, `is-empty`: without memory then, or not there.
 * `only-after`, `only-before`: in one list, and the other is incomplete.
 */
export const STATUSES = [
  ...(['both', 'new', 'gone', 'was-empty', 'is-empty', 'only-after', 'only-before'] as const),
] as const;
export type Status = (typeof STATUSES)[number];

/** How one of a list changed. */
export interface ItemDiff<By = Measure> extends Course {
  /** As it was last. */
  readonly who: Who;
  /** What was measured; null: nothing that first and last know of it. */
  readonly by: By | null;
  readonly status: Status;
}

export interface ListDiff<By = Measure> {
  /** What changed most first. */
  readonly items: readonly ItemDiff<By>[];
  /** The sum of what grew, and of what shrank (below 0), as far as that is known. */
  readonly grew: number;
  readonly shrank: number;
  /** They were there between first and last alone. */
  readonly between: number;
  /** They began before the first input was taken, and it has them not. */
  readonly missed: number;
  /** What the change of is not known. */
  readonly unknown: number;
  /** What was not measured by what tells most, though some input does. */
  readonly otherwise: number;
  /** Every list of it is whole. */
  readonly whole: boolean;
}

interface Times {
  readonly seconds: readonly number[] | null;
  /** Uptime of the first input, if all are of one boot. */
  readonly firstUptime: number | null;
}

/** Clocks of ticks and of uptime may be so far apart. */
const TOLERANCE = 1;

/**
 * @param lists of each input; null: it knows of none
 * @returns null: first or last knows of none
 */
export function diffLists<By extends Measure | CategoryMeasure>(
  lists: readonly (Listing | null)[],
  measures: readonly By[],
  { seconds, firstUptime }: Times,
): ListDiff<By> | null {
  const [first, last] = [lists[0], lists.at(-1)];
  if (!first || !last) return null;
  const keys = new Set(lists.flatMap((list) => [...(list?.items.keys() ?? [])]));
  let [between, missed] = [0, 0];
  const items: ItemDiff<By>[] = [];
  for (const key of keys) {
    const [one, other] = [first.items.get(key), last.items.get(key)];
    const who = (other ?? one)?.who;
    if (who === undefined) {
      between++;
      continue;
    }
    const early = !one && began(other) < (firstUptime ?? 0) - TOLERANCE;
    if (early && first.whole) missed++;
    const status = statusOf(one, other, early ? { ...first, whole: false } : first, last);
    const by = measures.find((each) => knows(one, each) && knows(other, each)) ?? null;
    const bytes = lists.map((list, at) => {
      const item = list?.items.get(key);
      if (item) return by === null ? null : (item.sizes[by] ?? null);
      return list?.whole && !(at === 0 && early) ? 0 : null;
    });
    const course = by === null ? notCompared(bytes) : courseOf(bytes, seconds);
    items.push({ who, by, status, ...course });
  }
  const changes = items.map(({ change }) => change ?? 0);
  const [best] = measures;
  return {
    items: items.toSorted(byChange),
    grew: changes.reduce((sum, one) => sum + Math.max(0, one), 0),
    shrank: changes.reduce((sum, one) => sum + Math.min(0, one), 0),
    between,
    missed,
    unknown: items.filter(({ change }) => change === null).length,
    otherwise: lists.some((list) => knowsAny(list, best))
      ? items.filter(({ by }) => by !== null && by !== best).length
      : 0,
    whole: lists.every((list) => list?.whole),
  };
}

function knowsAny(list: Listing | null, measure: Measure | CategoryMeasure | undefined): boolean {
  return (
    measure !== undefined && [...(list?.items.values() ?? [])].some((item) => knows(item, measure))
  );
}

function began(item: Item | undefined): number {
  return item?.began ?? Number.POSITIVE_INFINITY;
}

/** What is not there needs no measure. */
function knows(item: Item | undefined, measure: Measure | CategoryMeasure): boolean {
  return item === undefined || (item.sizes[measure] ?? null) !== null;
}

function statusOf(
  one: Item | undefined,
  other: Item | undefined,
  first: Listing,
  last: Listing,
): Status {
  if (!one) return !first.whole ? 'only-after' : first.withoutEmpty ? 'was-empty' : 'new';
  if (!other) return !last.whole ? 'only-before' : last.withoutEmpty ? 'is-empty' : 'gone';
  return 'both';
}

/** What changed most, whichever way; then what is not known. */
function byChange(a: Course, b: Course): number {
  const size = ({ change }: Course) => (change === null ? -1 : Math.abs(change));
  return size(b) - size(a);
}
