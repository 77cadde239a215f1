import { anyCategoryWords } from '../../account/memory/category-names.js';
import { count, formatCount, inflect } from '../../base/size.js';
import type { CategoryDiff, Course, DiffJson } from '../../contracts/diff.js';
import type { DiffAnswer } from '../../diff/compare.js';
import type { ItemDiff, ListDiff, Status } from '../../diff/lists.js';
import type { Loss } from '../../diff/loss.js';
import { LISTS, type ListName, type Who } from '../../diff/state.js';
import { socketEnds } from '../../records/socket-ends.js';
import { type Block, blockTexts, tableBlock } from '../text/blocks.js';
import type { Column } from '../text/table.js';
import {
  headline,
  MIN_RATED,
  measureWords,
  mostGrown,
  nextWords,
  noteWords,
  PARTS,
  peerHolders,
  signedSize,
  sizeOrUnknown,
  whoWords,
} from './words.js';

/** Formats the headline, then categories, then owners that changed. */
export function diffText(answer: DiffAnswer, options: DiffTextOptions): string {
  const next = options.source === undefined ? [] : nextWords(answer, options.source);
  const texts = blockTexts([headline(answer), ...diffBlocks(answer, options)], options.width);
  return [...texts, ...(next.length > 0 ? [next.join('\n')] : [])].join('\n\n');
}

interface InputFacts {
  readonly hasRates: boolean;
  /** Without kernel memory, socket queues are in other categories. */
  readonly hidesQueues: boolean;
}

interface ListFacts extends InputFacts {
  /** Smaller changes of owners are not shown. */
  readonly least?: number;
}

/** Returns the tables: categories, then owners that changed. */
export function diffBlocks(
  { categories, lists, states, seconds }: DiffAnswer,
  options: Pick<DiffTextOptions, 'limit' | 'verbose'>,
): Block[] {
  const several = states.length > 2;
  const hasRates = (seconds?.at(-1) ?? 0) >= MIN_RATED;
  const hidesQueues = states.every(({ memory }) => ['counters', 'pageflags'].includes(memory?.depth ?? ''));
  const largest = categories
    ? Math.max(...rowsOf(categories, 0).map(({ changeBytes }) => Math.abs(changeBytes ?? 0)))
    : 0;
  const facts = { ...options, hasRates, hidesQueues, least: options.verbose ? 0 : SMALL * largest };
  return [
    ...(categories ? [categoryBlock(categories, several, facts)] : []),
    ...LISTS.flatMap((name) => {
      const list = lists[name];
      // Most machines have none, or the same ones.
      const isQuiet = name === 'devices' && list?.items.every(({ changeBytes }) => changeBytes === 0);
      return list && !isQuiet ? [listBlock(name, list, several, facts)] : [];
    }),
  ];
}

interface Row extends CategoryDiff {
  readonly depth: number;
}

/** Changes below this fraction of the largest one are not shown. */
const SMALL = 0.01;

/** The category tree by change. Small changes are summed in one row, so that the figures add up. */
export function categoryBlock(
  all: CategoryDiff,
  several: boolean,
  { verbose, hasRates }: Pick<DiffTextOptions, 'verbose'> & InputFacts,
): Block {
  const rows = rowsOf(all, 0);
  const largest = rows.reduce((most, { changeBytes }) => Math.max(most, Math.abs(changeBytes ?? 0)), 0);
  const isShown = ({ changeBytes, depth, children, bytes }: Row) =>
    verbose || (depth === 1 && children.length > 0)
      ? verbose || bytes.some((amount) => amount !== 0)
      : depth > 0 && Math.abs(changeBytes ?? 0) > SMALL * largest;
  const shown = rows.filter(isShown);
  const unchanged = rows.filter(
    (row) => row.depth > 0 && row.changeBytes === 0 && !isShown(row) && row.bytes.some((amount) => amount !== 0),
  ).length;
  const small = rows.filter((row) => row.children.length === 0 && row.changeBytes !== 0 && !isShown(row));
  const columns: Column<Row>[] = [
    {
      heading: 'CATEGORY',
      value: ({ category, depth }) =>
        `${'  '.repeat(Math.max(0, depth - (verbose ? 0 : 1)))}${anyCategoryWords(category)}`,
      shrinks: { keeps: 'start', least: 16 },
    },
    ...courseColumns<Row>(shown, several, hasRates),
  ];
  return tableBlock('Categories', columns, shown, smallWords(small, unchanged));
}

function rowsOf(diff: CategoryDiff, depth: number): Row[] {
  const children = diff.children.toSorted(
    (a, b) => Number(a.children.length === 0) * (Math.abs(b.changeBytes ?? 0) - Math.abs(a.changeBytes ?? 0)),
  );
  return [{ ...diff, depth }, ...children.flatMap((child) => rowsOf(child, depth + 1))];
}

function smallWords(small: readonly Row[], unchanged: number): string {
  const known = small.flatMap(({ changeBytes }) => changeBytes ?? []);
  const unknown = small.length - known.length;
  const sum = known.reduce((all, amount) => all + amount, 0);
  return [
    ...(known.length > 0
      ? [
          `${count(known.length, 'more category', 'more categories')} changed, ${signedSize(sum)} in total (-v lists ${inflect(known.length, 'it', 'them')}).`,
        ]
      : []),
    ...(unknown > 0
      ? [`${count(unknown, 'category', 'categories')} cannot be compared (-v lists ${inflect(unknown, 'it', 'them')}).`]
      : []),
    ...(unchanged > 0
      ? [`${count(unchanged, 'category that did not change is', 'categories that did not change are')} not listed.`]
      : []),
  ].join(' ');
}

const HEADINGS: Readonly<Record<ListName, string>> = {
  processes: 'PROCESS',
  sockets: 'SOCKET',
  caches: 'SLAB CACHE',
  callers: 'VMALLOC CALLER',
  cgroups: 'CGROUP',
  devices: 'RING, PIN, BUFFER',
};

/** The rows that changed most, and the totals. */
export function listBlock(
  name: ListName,
  list: ListDiff,
  several: boolean,
  { limit, hasRates, hidesQueues, least = 0 }: Pick<DiffTextOptions, 'limit'> & ListFacts,
): Block {
  const changed = list.items.filter(({ changeBytes }) => changeBytes !== 0);
  // Of sockets, and of the kernel's caches and callers, many change a little.
  const isSmall = ({ changeBytes }: ItemDiff) => changeBytes !== null && Math.abs(changeBytes) < least;
  const inSmall = changed.filter(isSmall).reduce((sum, { changeBytes }) => sum + Math.abs(changeBytes ?? 0), 0);
  // Many small sockets may be the loss; caches and callers are parts of categories.
  const isMany = name === 'caches' || name === 'callers' || (name === 'sockets' && inSmall < least);
  const isLarge = (item: ItemDiff) => !isMany || !isSmall(item);
  const shown = changed.filter(isLarge).slice(0, limit);
  const peerOf = peerHolders(list.items.map(({ who }) => who));
  const columns: Column<ItemDiff>[] = [
    {
      heading: HEADINGS[name],
      value: ({ who }) => whoWords(who, peerOf(who)),
      shrinks: { keeps: name === 'processes' ? 'start' : 'ends', least: 20 },
    },
    ...courseColumns<ItemDiff>(shown, several, hasRates),
    ...(shown.some(({ status }) => statusWord(status) !== '')
      ? [{ heading: 'STATUS', value: ({ status }: ItemDiff) => statusWord(status), spare: 1 }]
      : []),
    ...(new Set(shown.map(({ measure }) => measure)).size > 1
      ? [{ heading: 'MEASURE', value: (item: ItemDiff) => measureWords(item), spare: 2 }]
      : []),
  ];
  const words = sumWords(name, list, changed.length, {
    limit: shown.length,
    isCut: shown.length === limit,
    hidesQueues,
  });
  return shown.length === 0 ? words : tableBlock(HEADINGS[name], columns, shown, words);
}

/** Returns the code of a status that adds information to the figures beside it. */
function statusWord(status: Status): string {
  return status === 'both' || status === 'was-empty' || status === 'is-empty' ? '' : status;
}

function sumWords(
  name: ListName,
  { items, grewBytes: grew, shrankBytes: shrank, unknown, complete }: ListDiff,
  changed: number,
  { limit, isCut, hidesQueues }: { readonly limit: number; readonly isCut: boolean; readonly hidesQueues: boolean },
): string {
  const measures = [...new Set(items.map((item) => (item.measure === null ? '' : measureWords(item))))];
  const by = measures.filter((measure) => measure !== '').join(' or ');
  const sums = name === 'cgroups' && by.includes('SS') ? 'not memory.current; sums of their processes’ ' : '';
  const isPart = hidesQueues && items.some((item) => item.measure === 'estimated');
  const part = isPart ? ', part of “unattributed” and unreclaimable slab' : '';
  const all = `${formatCount(items.length)} ${items.length === 1 ? ONE[name] : PARTS[name]}${by === '' ? '' : ` (${sums}${by}${part})`}`;
  const hidden = changed - limit;
  const more =
    limit === 0 && hidden > 0
      ? ` ${formatCount(changed)} changed a little (-v lists them).`
      : hidden > 0
        ? ` ${formatCount(limit)} of ${formatCount(changed)} that changed are listed: ${isCut ? `--limit ${changed}` : `-v --limit ${changed}`} lists all.`
        : '';
  if (items.length === 0)
    // Sockets that hold no data are not listed.
    return name === 'sockets'
      ? `No socket${complete ? '' : ' that could be read'} held memory in the first or last input.`
      : `No ${PARTS[name]}${complete ? '' : ' that can be compared'}.`;
  if (grew === 0 && shrank === 0)
    return `${all}: ${unknown > 0 ? `no known change (unknown for ${formatCount(unknown)})` : 'unchanged'}.`;
  return `${all}: increases ${signedSize(grew)}, decreases ${signedSize(shrank)}.${more}${grownWords(name, items, limit)}`;
}

/** Names the process that lived through and grew most, if those that began or exited hide it. */
function grownWords(name: ListName, items: readonly ItemDiff[], limit: number): string {
  if (name !== 'processes') return '';
  const changed = items.filter(({ changeBytes }) => changeBytes !== 0);
  const grown = mostGrown(items);
  return grown === undefined || changed.indexOf(grown) < limit
    ? ''
    : ` Largest growth of a process that is in both: ${whoWords(grown.who)}, ${signedSize(grown.changeBytes)}.`;
}

const ONE: Readonly<Record<ListName, string>> = {
  processes: 'process',
  sockets: 'socket',
  caches: 'slab cache',
  callers: 'vmalloc caller',
  cgroups: 'cgroup',
  devices: 'ring, pin or buffer of a device',
};

interface DiffTextOptions {
  /** Maximum number of rows of each list. */
  readonly limit: number;
  /** Show all categories, including those that hardly changed. */
  readonly verbose: boolean;
  /** Columns of the terminal; null: not a terminal, and nothing is cut or wrapped. */
  readonly width: number | null;
  /** Option that names the last input; undefined: it is a file with answers. */
  readonly source?: string | undefined;
}

/** Returns the columns of a figure over time. The rate column is omitted if no rate is known. */
function courseColumns<Row extends Course>(rows: readonly Row[], several: boolean, hasRates: boolean): Column<Row>[] {
  return [
    { heading: 'BEFORE', align: 'right', value: ({ beforeBytes }) => sizeOrUnknown(beforeBytes), spare: 4 },
    { heading: 'AFTER', align: 'right', value: ({ afterBytes }) => sizeOrUnknown(afterBytes) },
    { heading: 'CHANGE', align: 'right', value: ({ changeBytes }) => signedSize(changeBytes) },
    ...(hasRates && rows.some(({ perMinuteBytes }) => perMinuteBytes !== null) ? [RATE] : []),
    ...(several ? [{ heading: 'TREND', value: trendWord, spare: 3 }] : []),
  ];
}

const RATE: Column<Course> = {
  heading: 'RATE/MIN',
  align: 'right',
  // A start and an exit have no rate.
  value: (row) =>
    'status' in row && (row.status === 'new' || row.status === 'gone')
      ? ''
      : signedSize(row.perMinuteBytes && Math.round(row.perMinuteBytes)),
  spare: 2,
};

function trendWord({ course, grewEachTime, changeBytes }: Course): string {
  return course ?? (grewEachTime ? 'grew each time' : changeBytes === null ? '?' : '');
}

/** Returns the answer to `diff` according to the JSON contract. */
export function diffJson(answer: DiffAnswer): DiffJson {
  const { states, seconds, sameBoot, loss, categories, lists, notes, complete } = answer;
  return {
    schema: 'kdump-mem.diff/1',
    inputs: states.map(({ name, origin, release, pageSize, memory }) => ({
      name,
      ...origin,
      release,
      pageSize,
      source: memory?.depth ?? null,
    })),
    seconds: seconds?.at(-1) ?? null,
    sameBoot,
    summary: headline(answer),
    loss: loss && figuresOf(loss),
    categories,
    processes: listOf(lists.processes, (who) => (who.kind === 'process' ? without(who) : null)),
    sockets: listOf(lists.sockets, (who) =>
      who.kind === 'socket' ? { ...without(who), ...socketEnds(who, who.local, who.peer) } : null,
    ),
    caches: listOf(lists.caches, (who) => (who.kind === 'cache' ? without(who) : null)),
    callers: listOf(lists.callers, (who) => (who.kind === 'caller' ? without(who) : null)),
    cgroups: listOf(lists.cgroups, (who) => (who.kind === 'cgroup' ? without(who) : null)),
    devices: listOf(lists.devices, (who) => (who.kind === 'device' ? without(who) : null)),
    complete,
    warnings: notes.map((note) => ({ code: note.code, message: noteWords(note) })),
  };
}

function figuresOf({ pipes: _, categories: _grown, ...figures }: Loss) {
  return figures;
}

/** @param whoOf returns null if the item is none of these */
function listOf<Fields extends object>(diff: ListDiff | null, whoOf: (who: Who) => Fields | null) {
  if (!diff) return null;
  const { items, missed: _, unknown: _unknown, otherwise: _otherwise, ...sums } = diff;
  const listed = items.flatMap(({ who, ...item }) => {
    const fields = whoOf(who);
    return fields === null ? [] : [{ ...fields, ...item }];
  });
  return { items: listed, ...sums };
}

function without<W extends Who>({ kind: _, ...fields }: W): Omit<W, 'kind'> {
  return fields;
}
