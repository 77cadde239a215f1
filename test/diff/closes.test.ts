import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CategoryDiff } from '../../src/contracts/diff.js';
import { compareStates } from '../../src/diff/compare.js';
import { leavesOf } from '../../src/diff/lists.js';
import type { CategoryState } from '../../src/diff/state.js';
import { stateOf } from './made-up.js';

const GROUPS = ['free', 'applications-and-files', 'kernel', 'reserved'];

/** A tree with optional leaves of any size. */
const trees: fc.Arbitrary<CategoryState> = fc
  .tuple(
    ...GROUPS.map((category) =>
      fc
        .uniqueArray(
          fc.record({
            category: fc.constantFrom('unattributed', ...[1, 2, 3, 4].map((nr) => `${category}-${nr}`)),
            bytes: fc.nat(2 ** 31).map((size) => size * 2 ** 12),
            children: fc.constant([]),
          }),
          { selector: (leaf) => leaf.category, minLength: 1 },
        )
        .map((children) => ({ category, children, bytes: sumOf(children) })),
    ),
  )
  .map((children) => ({ category: 'memory', children, bytes: sumOf(children) }));

function sumOf(children: readonly CategoryState[]): number {
  return children.reduce((sum, { bytes }) => sum + bytes, 0);
}

function unclosed(diff: CategoryDiff): string[] {
  const { changeBytes, uncomparedBytes, children, category } = diff;
  if (children.length === 0) return [];
  const sum = children.reduce((all, one) => all + (one.changeBytes ?? 0), 0);
  return [...(changeBytes === sum + (uncomparedBytes ?? Number.NaN) ? [] : [category]), ...children.flatMap(unclosed)];
}

const looks = (first: CategoryState, last: CategoryState, depth = 'kcore') =>
  compareStates([
    stateOf(0, { memory: { depth: 'kcore', tree: first, drift: 0 } }),
    stateOf(60, { memory: { depth, tree: last, drift: 0 } }),
  ]);

test.each(['kcore', 'counters'])('changes add up to that of the parent (next to %s)', (depth) => {
  fc.assert(
    fc.property(trees, trees, (first, last) => {
      const { categories, loss } = looks(first, last, depth);
      if (!categories || !loss) throw new Error('both have categories');
      expect(unclosed(categories)).toEqual([]);
      const { lostBytes, pluggedBytes, grewBytes, shrankBytes, unattributedBytes, uncomparedBytes } = loss;
      if (grewBytes !== null) {
        expect(depth).toBe('kcore');
        const parts = [shrankBytes, unattributedBytes, uncomparedBytes].reduce<number>(
          (sum, part) => sum + (part ?? 0),
          grewBytes,
        );
        expect(parts).toBe(lostBytes + pluggedBytes);
        return;
      }
      // No category outside free memory is comparable, as between kcore and counters.
      const others = categories.children.filter(({ category }) => category !== 'free');
      expect(others.flatMap(leavesOf).every(({ changeBytes }) => changeBytes === null)).toBe(true);
    }),
  );
});

test('changes have the opposite sign in reverse order', () => {
  const changes = (diff: CategoryDiff | null, sign: 1 | -1) =>
    new Map(
      leavesOf(diff!).map(({ category, changeBytes }) => [
        category,
        changeBytes === null ? null : sign * changeBytes || 0,
      ]),
    );
  fc.assert(
    fc.property(trees, trees, (one, other) => {
      const [forward, back] = [looks(one, other), looks(other, one)];
      expect(changes(forward.categories, 1)).toEqual(changes(back.categories, -1));
      expect(forward.loss?.lostBytes).toBe(-(back.loss?.lostBytes ?? 0) || 0);
    }),
  );
});
