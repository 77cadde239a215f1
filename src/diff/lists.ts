import type { CategoryDiff, Course, DiffJson } from '../contracts/diff.js';
import { Series } from '../growth/series.js';
import { NO_TREND, trendOf } from '../growth/trend.js';
import type { CategoryMeasure, CategoryState, Item, Listing, Measure, Who } from './state.js';

/**
 * `new`: absent at first. `gone`: absent at last. `was-empty`, `is-empty`: without memory then, or absent.
 * `only-after`, `only-before`: in one list, and the other is incomplete.
 */
export type Status = NonNullable<DiffJson['processes']>['items'][number]['status'];

/** Change of a list item. */
export interface ItemDiff<By = Measure> extends Course {
  /** The item as last listed. */
  readonly who: Who;
  /** The compared measure; null: the first and last have none in common. */
  readonly measure: By | null;
  readonly status: Status;
}

export interface ListDiff<By = Measure> {
  /** Largest change first. */
  readonly items: readonly ItemDiff<By>[];
  /** Sum of the increases, and of the decreases (negative), as far as known. */
  readonly grewBytes: number;
  readonly shrankBytes: number;
  /** Items that exist only between first and last. */
  readonly between: number;
  /** Every list of it is complete. */
  readonly complete: boolean;
  /** Items that started before the first input, which lacks them. */
  readonly missed: number;
  /** Items whose change is unknown. */
  readonly unknown: number;
  /** Items that are not compared by the best measure, although an input has it. */
  readonly otherwise: number;
}

interface Times {
  readonly seconds: readonly number[] | null;
  /** Uptime of the first input, if all inputs are of one boot. */
  readonly firstUptime: number | null;
}

/** Maximum difference in seconds between start times in ticks and the uptime. */
const TOLERANCE = 1;

/**
 * @param lists list of each input; null: not available
 * @returns null if the first or last input has no list
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
    const [earlier, other] = [first.items.get(key), last.items.get(key)];
    const who = (other ?? earlier)?.who;
    if (who === undefined) {
      between++;
      continue;
    }
    const early = !earlier && began(other) < (firstUptime ?? 0) - TOLERANCE;
    if (early && first.whole) missed++;
    const status = statusOf(earlier, other, early ? { ...first, whole: false } : first, last);
    const measure = measures.find((by) => knows(earlier, by) && knows(other, by)) ?? null;
    const bytes = lists.map((list, at) => {
      const item = list?.items.get(key);
      if (item) return measure === null ? null : (item.sizes[measure] ?? null);
      return list?.whole && !(at === 0 && early) ? 0 : null;
    });
    const course = measure === null ? notCompared(bytes) : courseOf(bytes, seconds);
    items.push({ who, ...course, measure, status });
  }
  const changes = items.map(({ changeBytes }) => changeBytes ?? 0);
  const [best] = measures;
  return {
    items: items.toSorted(byChange),
    grewBytes: changes.reduce((sum, change) => sum + Math.max(0, change), 0),
    shrankBytes: changes.reduce((sum, change) => sum + Math.min(0, change), 0),
    between,
    complete: lists.every((list) => list?.whole === true),
    missed,
    unknown: items.filter(({ changeBytes }) => changeBytes === null).length,
    otherwise: lists.some((list) => knowsAny(list, best))
      ? items.filter(({ measure }) => measure !== null && measure !== best).length
      : 0,
  };
}

function knowsAny(list: Listing | null, measure: Measure | CategoryMeasure | undefined): boolean {
  return measure !== undefined && [...(list?.items.values() ?? [])].some((item) => knows(item, measure));
}

function began(item: Item | undefined): number {
  return item?.began ?? Number.POSITIVE_INFINITY;
}

/** An absent item needs no measure. */
function knows(item: Item | undefined, measure: Measure | CategoryMeasure): boolean {
  return item === undefined || (item.sizes[measure] ?? null) !== null;
}

function statusOf(item: Item | undefined, other: Item | undefined, first: Listing, last: Listing): Status {
  if (!item) return !first.whole ? 'only-after' : first.withoutEmpty ? 'was-empty' : 'new';
  if (!other) return !last.whole ? 'only-before' : last.withoutEmpty ? 'is-empty' : 'gone';
  return 'both';
}

/** Largest absolute change first, unknown changes last. */
function byChange(a: Course, b: Course): number {
  const size = ({ changeBytes }: Course) => (changeBytes === null ? -1 : Math.abs(changeBytes));
  return size(b) - size(a);
}

/**
 * Merges the trees of several samples.
 *
 * @param trees tree of each input; null: none
 * @param leaves whether single categories can be compared, because all inputs have the same source
 */
export function diffCategories(
  trees: readonly (CategoryState | null)[],
  leaves: boolean,
  seconds: readonly number[] | null,
): CategoryDiff {
  const names = new Set(trees.flatMap((tree) => tree?.children.map(({ category }) => category) ?? []));
  const parts = trees.map((tree) => new Map(tree?.children.map((child) => [child.category, child])));
  const children = [...names].map((name) =>
    diffCategories(
      parts.map((part) => part.get(name) ?? null),
      leaves,
      seconds,
    ),
  );
  const bytes = trees.map((tree) => tree?.bytes ?? null);
  const compared = leaves || children.length > 0;
  const course = compared ? courseOf(bytes, seconds) : notCompared(bytes);
  const sum = children.reduce((all, { changeBytes }) => all + (changeBytes ?? 0), 0);
  return {
    category: trees.find((tree) => tree !== null)?.category ?? '',
    ...course,
    uncomparedBytes: course.changeBytes === null ? null : children.length === 0 ? 0 : course.changeBytes - sum,
    children,
  };
}

/** Returns all leaf categories. */
export function leavesOf(diff: CategoryDiff): CategoryDiff[] {
  return diff.children.length === 0 ? [diff] : diff.children.flatMap(leavesOf);
}

/** @param seconds time of each input since the first, strictly increasing; null: unknown */
function courseOf(bytes: readonly (number | null)[], seconds: readonly number[] | null): Course {
  const figures = notCompared(bytes);
  const { beforeBytes, afterBytes } = figures;
  const changeBytes = beforeBytes === null || afterBytes === null ? null : afterBytes - beforeBytes;
  const took = seconds?.at(-1) ?? 0;
  const known = bytes.every((amount) => amount !== null);
  return {
    ...figures,
    changeBytes,
    perMinuteBytes: changeBytes === null || took <= 0 ? null : (changeBytes / took) * 60,
    ...(seconds && trendOf(seriesOf(bytes, seconds))),
    grewEachTime:
      bytes.length > 2 && known ? bytes.every((amount, at) => at === 0 || (amount ?? 0) > (bytes[at - 1] ?? 0)) : null,
  };
}

/** Returns the course of a figure without a comparison. */
function notCompared(bytes: readonly (number | null)[]): Course {
  return {
    beforeBytes: bytes[0] ?? null,
    afterBytes: bytes.at(-1) ?? null,
    changeBytes: null,
    perMinuteBytes: null,
    bytes,
    ...NO_TREND,
    grewEachTime: null,
  };
}

function seriesOf(bytes: readonly (number | null)[], seconds: readonly number[]): Series {
  const series = new Series();
  bytes.forEach((amount, at) => {
    if (amount !== null) series.add(seconds[at] ?? 0, amount);
  });
  return series;
}
