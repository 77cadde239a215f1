import { type Course, courseOf, notCompared } from './course.js';
import type { DrawerState } from './state.js';

/** How a drawer changed. */
export interface DrawerDiff extends Course {
  readonly drawer: string;
  readonly children: readonly DrawerDiff[];
  /**
   * Of its change what its children do not tell, since they cannot be compared: their changes and this sum to
   * its own, to the byte. Null: its own is not known.
   */
  readonly untold: number | null;
}

/**
 * The trees of several looks as one.
 *
 * @param trees of each input; null: it knows of none
 * @param leaves single drawers can be compared: all looked equally deep
 */
export function diffDrawers(
  trees: readonly (DrawerState | null)[],
  leaves: boolean,
  seconds: readonly number[] | null,
): DrawerDiff {
  const names = new Set(trees.flatMap((tree) => tree?.children.map(({ drawer }) => drawer) ?? []));
  const parts = trees.map((tree) => new Map(tree?.children.map((child) => [child.drawer, child])));
  const children = [...names].map((name) =>
    diffDrawers(
      parts.map((part) => part.get(name) ?? null),
      leaves,
      seconds,
    ),
  );
  const bytes = trees.map((tree) => tree?.bytes ?? null);
  const compared = leaves || children.length > 0;
  const course = compared ? courseOf(bytes, seconds) : notCompared(bytes);
  const told = children.reduce((sum, { change }) => sum + (change ?? 0), 0);
  return {
    drawer: trees.find((tree) => tree !== null)?.drawer ?? '',
    ...course,
    children,
    untold: course.change === null ? null : children.length === 0 ? 0 : course.change - told,
  };
}

/** Drawers without parts, of all of it. */
export function leavesOf(diff: DrawerDiff): DrawerDiff[] {
  return diff.children.length === 0 ? [diff] : diff.children.flatMap(leavesOf);
}
