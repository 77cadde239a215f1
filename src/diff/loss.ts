import { type CategoryDiff, leavesOf } from './categories.js';
import type { ItemDiff, ListDiff } from './lists.js';
import type { CategoryMeasure, ListName, Measure, Who } from './state.js';

/** The change of free memory, and the categories that explain it. Bytes; negative: fell. */
export interface Loss {
  /** What free memory fell by; below 0: it rose. */
  readonly lost: number;
  /** Memory that was plugged in, or out (below 0). */
  readonly plugged: number;
  /**
   * Categories that say whose they are: those that grew, and those that shrank. With what nothing explains, and
   * uncompared, they make up what was lost and plugged, to the byte. Null: single categories cannot be compared.
   */
  readonly grew: number | null;
  readonly shrank: number | null;
  readonly unattributed: number | null;
  readonly uncompared: number | null;
  /**
   * `nothing`: what grew is less than half of what was lost. Null: nothing was lost (it is of another boot or host), or
   * it cannot be told.
   */
  readonly explanation: 'categories' | 'nothing' | null;
  /** What grew, the most first, each with who grew most of those that it may be. */
  readonly categories: readonly GrownCategory[];
}

/** How an owner of memory changed, by its part in one category where that is known. */
export type OwnerDiff = ItemDiff<Measure | CategoryMeasure>;

export interface GrownCategory {
  readonly category: CategoryDiff;
  /** Who grew by a good part of it; null: not known, or no owner did. */
  readonly who: OwnerDiff | null;
  /** Every process is known by its part in the category, and none grew by a good part of it. */
  readonly ofNoProcess: boolean;
}

/** An owner that grew by less than this part of a category's growth is not named. */
export const GOOD_PART = 1 / 4;

/** A smaller change is no loss: memory moves while it is sampled. */
export const LEAST_LOSS = 1 << 20;

const OWNERLESS: ReadonlySet<string> = new Set(['unattributed', 'unread']);

/** Where owners of a category are listed; those of memory of processes are measured by category. */
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
};

/** Returns owners of a category, each by its part in it; null: not known. */
export type OwnersOf = (category: string) => ListDiff<Measure | CategoryMeasure> | null;

/**
 * @param drift by how much counters changed while inputs were taken; null: the inputs are of different boots
 * @returns null: free memory of first or last is not known
 */
export function lossOf(
  memory: CategoryDiff,
  ownersOf: OwnersOf,
  drift: number | null,
): Loss | null {
  const free = memory.children.find(({ category }) => category === 'free');
  if (!free || free.change === null || memory.change === null) return null;
  const lost = -free.change;
  const leaves = memory.children.filter((child) => child !== free).flatMap(leavesOf);
  const isTold = leaves.some(({ change }) => change !== null);
  const named = leaves.filter(({ category }) => !OWNERLESS.has(category));
  const sum = (of: readonly CategoryDiff[], pick: (change: number) => number) =>
    of.reduce((all, { change }) => all + pick(change ?? 0), 0);
  const grew = sum(named, (change) => Math.max(0, change));
  const shrank = sum(named, (change) => Math.min(0, change));
  const unattributed = sum(
    leaves.filter(({ category }) => OWNERLESS.has(category)),
    (change) => change,
  );
  const uncompared = lost + memory.change - grew - shrank - unattributed;
  const isLost = drift !== null && lost >= Math.max(LEAST_LOSS, drift);
  return {
    lost,
    plugged: memory.change,
    ...(isTold
      ? { grew, shrank, unattributed, uncompared }
      : { grew: null, shrank: null, unattributed: null, uncompared: null }),
    explanation: isLost && isTold ? explanationOf(lost, grew, uncompared) : null,
    categories: named
      .filter(({ change }) => (change ?? 0) > 0)
      .toSorted((a, b) => (b.change ?? 0) - (a.change ?? 0))
      .map((category) => ({ category, ...whoGrew(category, ownersOf(category.category)) })),
  };
}

/** Null if the categories that cannot be compared may explain the loss. */
function explanationOf(lost: number, grew: number, uncompared: number): Loss['explanation'] {
  if (grew >= lost / 2) return 'categories';
  return grew + Math.max(0, uncompared) >= lost / 2 ? null : 'nothing';
}

/** Returns the owner that grew most in a category. */
function whoGrew(
  { category, change }: CategoryDiff,
  owners: ReturnType<OwnersOf>,
): Omit<GrownCategory, 'category'> {
  // Items are in the order of what changed most.
  const most = owners?.items.find((item) => (item.change ?? 0) > 0 && mayBeIn(item.who, category));
  const isGood = most && (most.change ?? 0) >= GOOD_PART * (change ?? 0);
  const isKnown = owners?.whole === true && owners.unknown === 0 && owners.missed === 0;
  const ofNoProcess = OWNERS[category] === 'processes' && isKnown && !isGood;
  return { who: isGood ? most : null, ofNoProcess };
}

function mayBeIn(who: Who, category: string): boolean {
  return who.kind === 'cache' || who.kind === 'caller' ? who.category === category : true;
}
