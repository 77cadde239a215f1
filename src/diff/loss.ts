import type { CategoryDiff, DiffJson } from '../contracts/diff.js';
import { type ItemDiff, type ListDiff, leavesOf } from './lists.js';
import type { CategoryMeasure, CategoryState, FileInMemory, ListName, Measure, PipesInMemory, Who } from './state.js';

/** Change of free memory, and the categories that account for it. */
export interface Loss extends NonNullable<DiffJson['loss']> {
  /** The pipes that can hold a large part of what grew without an owner; null: none are known. */
  readonly pipes: PipesInMemory | null;
  /** Growth by category, largest first, each with the owner that may account for most of it. */
  readonly categories: readonly GrownCategory[];
}

/** Change of an owner of memory, by its part in one category if known. */
export type OwnerDiff = ItemDiff<Measure | CategoryMeasure>;

export interface GrownCategory {
  readonly category: CategoryDiff;
  /** The largest file in it, in the last input; null: none is known. */
  readonly file: FileInMemory | null;
  /** Owner that grew by a large part of it; null: unknown, or none. */
  readonly who: OwnerDiff | null;
  /**
   * Whether every process's part in the category is known, and none grew by a large part of the category's
   * growth.
   */
  readonly ofNoProcess: boolean;
}

/** Minimum part of a category's growth for an owner to be named. */
export const GOOD_PART = 1 / 4;

/** Minimum change that counts as a loss: memory changes during sampling. */
export const MIN_LOSS = 1 << 20;

const OWNERLESS: ReadonlySet<string> = new Set(['unattributed', 'unread']);

/** Lists with the owners of a category; owners of process memory are measured by category. */
export const OWNERS: Readonly<Record<string, ListName>> = {
  anonymous: 'processes',
  shared: 'processes',
  hugetlb: 'processes',
  'page-tables': 'processes',
  'network-sockets': 'sockets',
  'slab-reclaimable': 'caches',
  'slab-unreclaimable': 'caches',
  vmalloc: 'callers',
  modules: 'callers',
  bpf: 'callers',
  rings: 'devices',
  gpu: 'devices',
  'dma-buf': 'devices',
};

/** Returns the owners of a category, each by its part in it; null: unknown. */
export type OwnersOf = (category: string) => ListDiff<Measure | CategoryMeasure> | null;

/**
 * @param last categories of the last input without children, by name
 * @param drift change of the counters while the inputs were captured; null: the inputs are of different boots
 * @returns null if free memory of the first or last input is unknown
 */
export function lossOf(
  memory: CategoryDiff,
  { last, ownersOf, drift }: { last: ReadonlyMap<string, CategoryState>; ownersOf: OwnersOf; drift: number | null },
): Loss | null {
  const free = memory.children.find(({ category }) => category === 'free');
  if (!free || free.changeBytes === null || memory.changeBytes === null) return null;
  const lostBytes = -free.changeBytes;
  const leaves = memory.children.filter((child) => child !== free).flatMap(leavesOf);
  const isComparable = leaves.some(({ changeBytes }) => changeBytes !== null);
  const named = leaves.filter(({ category }) => !OWNERLESS.has(category));
  const sum = (of: readonly CategoryDiff[], pick: (changeBytes: number) => number) =>
    of.reduce((all, { changeBytes }) => all + pick(changeBytes ?? 0), 0);
  const grew = sum(named, (changeBytes) => Math.max(0, changeBytes));
  const shrank = sum(named, (changeBytes) => Math.min(0, changeBytes));
  const ownerless = leaves.filter(({ category }) => OWNERLESS.has(category));
  const unattributed = sum(ownerless, (changeBytes) => changeBytes);
  const pipes = ownerless.flatMap(({ category }) => last.get(category)?.pipes ?? [])[0] ?? null;
  const uncompared = lostBytes + memory.changeBytes - grew - shrank - unattributed;
  const isLost = drift !== null && lostBytes >= Math.max(MIN_LOSS, drift);
  return {
    lostBytes,
    pluggedBytes: memory.changeBytes,
    grewBytes: isComparable ? grew : null,
    shrankBytes: isComparable ? shrank : null,
    unattributedBytes: isComparable ? unattributed : null,
    uncomparedBytes: isComparable ? uncompared : null,
    pipes: isComparable && pipes && unattributed > 0 && pipes.mostBytes >= GOOD_PART * unattributed ? pipes : null,
    explanation: isLost && isComparable ? explanationOf(lostBytes, grew, uncompared) : null,
    categories: named
      .filter(({ changeBytes }) => (changeBytes ?? 0) > 0)
      .toSorted((a, b) => (b.changeBytes ?? 0) - (a.changeBytes ?? 0))
      .map((category) => ({
        category,
        file: last.get(category.category)?.file ?? null,
        ...whoGrew(category, ownersOf(category.category)),
      })),
  };
}

/** Returns null if categories that cannot be compared may account for the loss. */
function explanationOf(lost: number, grew: number, uncompared: number): Loss['explanation'] {
  if (grew >= lost / 2) return 'categories';
  return grew + Math.max(0, uncompared) >= lost / 2 ? null : 'nothing';
}

/** Finds the owner that grew most in a category. */
function whoGrew(
  { category, changeBytes }: CategoryDiff,
  owners: ReturnType<OwnersOf>,
): Pick<GrownCategory, 'who' | 'ofNoProcess'> {
  // Items are sorted by change.
  const most = owners?.items.find((item) => (item.changeBytes ?? 0) > 0 && mayBeIn(item.who, category));
  const isGood = most && (most.changeBytes ?? 0) >= GOOD_PART * (changeBytes ?? 0);
  const isKnown = owners?.complete === true && owners.unknown === 0 && owners.missed === 0;
  const ofNoProcess = OWNERS[category] === 'processes' && isKnown && !isGood;
  return { who: isGood ? most : null, ofNoProcess };
}

function mayBeIn(who: Who, category: string): boolean {
  return who.kind === 'cache' || who.kind === 'caller' ? who.category === category : true;
}
