import { type Course, courseOf, notCompared } from './course.js';
import type { CategoryState } from './state.js';

/** How a category changed. */
export interface CategoryDiff extends Course {
  readonly category: string;
  readonly children: readonly CategoryDiff[];
  /**
   * The part of its change in children that cannot be compared: their changes and this sum to its own, to the byte.
   * Null: its own is unknown.
   */
  readonly uncompared: number | null;
}

/**
 * Merges the trees of several samples.
 *
 * @param trees of each input; null: it has none
 * @param leaves single categories can be compared: all have the same source
 */
export function diffCategories(
  trees: readonly (CategoryState | null)[],
  leaves: boolean,
  seconds: readonly number[] | null,
): CategoryDiff {
  const names = new Set(
    trees.flatMap((tree) => tree?.children.map(({ category }) => category) ?? []),
  );
  const parts = trees.map(
    (tree) => new Map(tree?.children.map((child) => [child.category, child])),
  );
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
  const sum = children.reduce((all, { change }) => all + (change ?? 0), 0);
  return {
    category: trees.find((tree) => tree !== null)?.category ?? '',
    ...course,
    children,
    uncompared: course.change === null ? null : children.length === 0 ? 0 : course.change - sum,
  };
}

/** Categories without parts, of all of it. */
export function leavesOf(diff: CategoryDiff): CategoryDiff[] {
  return diff.children.length === 0 ? [diff] : diff.children.flatMap(leavesOf);
}
