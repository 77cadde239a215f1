import { CATEGORIES, type CategoryGroup, type CategoryName, categoryFacts } from './categories.js';
import type { Category } from './category.js';

/** The parts of all memory. */
const GROUPS: readonly CategoryGroup[] = [
  'free',
  'applications-and-files',
  'kernel',
  'reserved',
  'unknown',
];

interface Leaves {
  readonly known: Category['known'];
  readonly leaf: (category: CategoryName) => Category;
  /** Bytes that the kernel counts of a group, or of all; null, or left out: it does not. */
  readonly counter?: (of: CategoryGroup | 'memory') => number | null;
}

/** All categories as one tree: siblings sum to their parent. */
export function leafTree({ known, leaf, counter = () => null }: Leaves): Category {
  const parent = (category: CategoryGroup | 'memory', children: readonly Category[]): Category => ({
    category,
    frames: children.reduce((all, child) => all + child.frames, 0),
    bytes: children.reduce((all, child) => all + child.bytes, 0),
    known,
    counterBytes: counter(category),
    owners: [],
    children,
    complete: children.every(({ complete }) => complete),
    elsewhere: [],
  });
  return parent(
    'memory',
    GROUPS.map((group) =>
      parent(
        group,
        CATEGORIES.filter((category) => categoryFacts(category).group === group).map(leaf),
      ),
    ),
  );
}
