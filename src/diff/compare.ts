import type { CategoryDiff } from '../contracts/diff.js';
import { diffCategories, diffLists, type ListDiff, leavesOf } from './lists.js';
import { type Loss, lossOf, OWNERS, type OwnersOf } from './loss.js';
import {
  CATEGORY_MEASURES,
  type CategoryMeasure,
  type CategoryState,
  type HostState,
  isHarmless,
  LISTS,
  type Listing,
  type ListName,
  MEASURES,
  type Measure,
  type Note,
} from './state.js';
import { inOrder, type Order } from './times.js';

/** Changes from the first input to the last. */
export interface DiffAnswer {
  /** In chronological order, if known. */
  readonly states: readonly HostState[];
  readonly seconds: readonly number[] | null;
  readonly sameBoot: boolean | null;
  /** Null: some inputs have no categories, or no list. */
  readonly categories: CategoryDiff | null;
  readonly lists: Readonly<Record<ListName, ListDiff | null>>;
  readonly loss: Loss | null;
  readonly notes: readonly Note[];
  /** All inputs are complete, and everything in them could be compared. */
  readonly complete: boolean;
}

/** Compares two or more states of a host. */
export function compareStates(given: readonly HostState[]): DiffAnswer {
  const order = inOrder(given);
  const { states, seconds, sameBoot } = order;
  const depths = unique(states.flatMap(({ memory }) => memory?.depth ?? []));
  const { trees, unknown } = comparableTrees(states);
  const last = trees.slice(-1).flatMap((tree) => (tree ? leaves(tree) : []));
  const knowCategories = states.every(({ memory }) => memory !== null);
  const categories = knowCategories ? diffCategories(trees, depths.length === 1, seconds) : null;
  const lists = Object.fromEntries(LISTS.map((name) => [name, diffList(name, order)])) as Record<
    ListName,
    ListDiff | null
  >;
  const drift = states.reduce((sum, { memory }) => sum + (memory?.drift ?? 0), 0);
  const notes = [
    ...order.notes,
    ...differing(states),
    ...(depths.length > 1 ? [{ code: 'different-sources', depths } as const] : strangeCategories(categories)),
    ...(unknown > 0 ? [{ code: 'change-unknown', part: 'categories', count: unknown } as const] : []),
    ...(categories?.changeBytes
      ? [
          {
            code: sameBoot === false ? ('different-memory-sizes' as const) : ('memory-hotplug' as const),
            bytes: categories.changeBytes,
          },
        ]
      : []),
    ...unknownTo(states),
    ...listNotes(lists, order),
    ...states.flatMap(({ name, flaws }) => flaws.map(({ code, words }) => ({ code, name, words }))),
  ];
  return {
    states,
    seconds,
    sameBoot,
    categories,
    lists,
    notes,
    loss:
      categories &&
      lossOf(categories, {
        last: new Map(last.map((leaf) => [leaf.category, leaf])),
        ownersOf: ownersOf(order, lists),
        drift: sameBoot === false ? null : drift,
      }),
    complete: notes.every(isHarmless),
  };
}

/** Processes count with their part in the category, not with their total. */
function ownersOf(order: Order, lists: Readonly<Record<ListName, ListDiff | null>>): OwnersOf {
  return (category) => {
    if (Object.hasOwn(CATEGORY_MEASURES, category))
      return diffListBy('processes', CATEGORY_MEASURES[category as keyof typeof CATEGORY_MEASURES], order);
    const list = OWNERS[category];
    return list === undefined ? null : lists[list];
  };
}

function diffList(name: ListName, order: Order): ListDiff | null {
  return diffListBy(name, MEASURES[name], order);
}

function diffListBy<By extends Measure | CategoryMeasure>(
  name: ListName,
  measures: readonly By[],
  { states, seconds, sameBoot }: Order,
): ListDiff<By> | null {
  const lists = states.map(({ lists: all }) => {
    const list = all[name];
    return list === undefined ? null : sameBoot === false ? ofAnyBoot(list) : list;
  });
  // Inputs without data that survives a reboot cannot be compared.
  if (sameBoot === false && lists.every((list) => list === null || list.items.size === 0)) return null;
  const firstUptime = sameBoot === true ? (states[0]?.origin.uptimeSeconds ?? null) : null;
  return diffLists(lists, measures, { seconds, firstUptime });
}

/** Items that keep their identity over a reboot. */
function ofAnyBoot({ items, whole }: Listing): Listing {
  return { items: new Map([...items].filter(([, item]) => !item.ofBoot)), whole };
}

/** Trees of the same memory: what one input does not count by itself is where its pages are in all of them. */
function comparableTrees(states: readonly HostState[]): { trees: (CategoryState | null)[]; unknown: number } {
  const known = states.flatMap(({ memory }) => memory?.tree ?? []);
  const withZones = known.filter(({ children }) => children.some(({ category }) => category === 'reserved'));
  const lacksZones = withZones.length > 0 && withZones.length < known.length;
  const rows = known.flatMap(leaves);
  // Where lines are missing from a text, the rest of its memory is of unknown use.
  const isMissing = rows.some(({ category, bytes }) => category === MISSING && bytes > 0);
  const moved = new Set(rows.flatMap(({ category, isUnknown }) => (isUnknown ? category : [])));
  moved.delete(MISSING);
  if (isMissing) moved.add('unattributed');
  if (lacksZones) moved.add('free-cpu-lists');
  const trees = states.map(({ memory }) => memory?.tree ?? null);
  if (moved.size === 0 && !lacksZones) return { trees, unknown: 0 };
  const changed = [...moved].filter((name) => rows.some(({ category, bytes }) => category === name && bytes > 0));
  const into = isMissing ? MISSING : 'unattributed';
  const parts = { moved: new Set(changed), into, lacksZones };
  return {
    trees: trees.map((tree) => tree && withoutRows(tree, parts)),
    unknown: lacksZones ? changed.length || 1 : changed.length,
  };
}

const MISSING = 'missing-counters';

function leaves(tree: CategoryState): CategoryState[] {
  return tree.children.length === 0 ? [tree] : tree.children.flatMap(leaves);
}

/** The pages of some rows are in another one, and memory that was reserved at boot is not counted. */
function withoutRows(
  tree: CategoryState,
  { moved, into, lacksZones }: { moved: ReadonlySet<string>; into: string; lacksZones: boolean },
): CategoryState {
  const bytes = leaves(tree).reduce((sum, row) => sum + (moved.has(row.category) ? row.bytes : 0), 0);
  const part = (state: CategoryState): CategoryState => {
    if (state.children.length === 0) return state.category === into ? { ...state, bytes: state.bytes + bytes } : state;
    const children = state.children
      .filter(({ category }) => !moved.has(category) && !(lacksZones && category === 'reserved'))
      .map(part);
    return { ...state, bytes: children.reduce((sum, child) => sum + child.bytes, 0), children };
  };
  return part(tree);
}

function differing(states: readonly HostState[]): Note[] {
  const releases = unique(states.flatMap(({ release }) => release ?? []));
  const sizes = unique(states.flatMap(({ pageSize }) => pageSize ?? []));
  return [
    ...(releases.length > 1 ? [{ code: 'different-kernels', releases } as const] : []),
    ...(sizes.length > 1 ? [{ code: 'different-page-sizes', sizes } as const] : []),
  ];
}

/**
 * Returns categories that one input lacks although both have the same source: a later release may have more.
 */
function strangeCategories(categories: CategoryDiff | null): Note[] {
  const count = categories ? leavesOf(categories).filter(({ changeBytes }) => changeBytes === null).length : 0;
  return count === 0 ? [] : [{ code: 'change-unknown', part: 'categories', count }];
}

/** Returns parts that some inputs have and others lack. */
function unknownTo(states: readonly HostState[]): Note[] {
  const parts = [
    { part: 'categories' as const, knows: ({ memory }: HostState) => memory !== null },
    ...LISTS.map((part) => ({ part, knows: (state: HostState) => state.lists[part] !== undefined })),
  ];
  return parts.flatMap(({ part, knows }): Note[] => {
    const lacking = states.filter((state) => !knows(state)).map(({ name }) => name);
    return lacking.length === 0 || lacking.length === states.length
      ? []
      : [{ code: 'missing-in-input', part, names: lacking }];
  });
}

function listNotes(lists: Readonly<Record<ListName, ListDiff | null>>, { states }: Order): Note[] {
  const again = pidsReused(states);
  return [
    ...LISTS.flatMap((part): Note[] => {
      const list = lists[part];
      if (!list) return [];
      const { complete, missed, otherwise, unknown } = list;
      return [
        ...(complete ? [] : [{ code: 'list-incomplete', part } as const]),
        ...(missed > 0 ? [{ code: 'missed-process', part, count: missed } as const] : []),
        ...(otherwise > 0 ? [{ code: 'lesser-measure', part, count: otherwise } as const] : []),
        ...(unknown > 0 ? [{ code: 'change-unknown', part, count: unknown } as const] : []),
      ];
    }),
    ...(lists.processes && again > 0 ? [{ code: 'pid-reused', count: again } as const] : []),
  ];
}

/** Counts pids of the first input that belong to another process in the last. */
function pidsReused(states: readonly HostState[]): number {
  const startsOf = (state: HostState | undefined) =>
    new Map(
      [...(state?.lists.processes?.items.values() ?? [])].flatMap(({ who }) =>
        who.kind === 'process' ? [[who.pid, who.startTicks] as const] : [],
      ),
    );
  const [first, last] = [startsOf(states[0]), startsOf(states.at(-1))];
  return [...first].filter(([pid, start]) => (last.get(pid) ?? start) !== start).length;
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
