import type { CategoryDiff } from '../../diff/categories.js';
import type { DiffAnswer } from '../../diff/compare.js';
import type { Course } from '../../diff/course.js';
import type { ItemDiff, ListDiff, Status } from '../../diff/lists.js';
import { LISTS, type ListName, MEASURES, type Measure } from '../../diff/state.js';
import { perMinute } from '../growth/words.js';
import { anyCategoryWords } from '../memory/words.js';
import { wrap } from '../text/cut.js';
import { formatCount } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';
import { headline } from './headline.js';
import { PARTS } from './notes.js';
import { measureWords, signedSize, sizeOrUnknown, whoWords } from './words.js';

/** What matters first, then categories, then who changed. */
export function diffText(answer: DiffAnswer, options: DiffTextOptions): string {
  const { categories, lists, states } = answer;
  const several = states.length > 2;
  return [
    wrap(headline(answer), options.width).join('\n'),
    ...(categories ? [categoryTable(categories, several, options)] : []),
    ...LISTS.flatMap((name) => {
      const list = lists[name];
      return list ? [listTable(name, list, several, options)] : [];
    }),
  ].join('\n\n');
}

interface Row extends CategoryDiff {
  readonly depth: number;
}

/** Of what changed most, less than this part is not shown. */
const SMALL = 0.01;

/** The tree by what changed; what hardly did is one line, so that all can be added up. */
export function categoryTable(
  all: CategoryDiff,
  several: boolean,
  { verbose, width }: Pick<DiffTextOptions, 'verbose' | 'width'>,
): string {
  const rows = rowsOf(all, 0);
  const largest = rows.reduce((most, { change }) => Math.max(most, Math.abs(change ?? 0)), 0);
  const isShown = ({ change, depth, children, bytes }: Row) =>
    verbose || (depth === 1 && children.length > 0)
      ? verbose || bytes.some((one) => one !== 0)
      : depth > 0 && Math.abs(change ?? 0) > SMALL * largest;
  const shown = rows.filter(isShown);
  const small = rows.filter(
    (row) => row.children.length === 0 && row.change !== 0 && !isShown(row),
  );
  const columns: Column<Row>[] = [
    {
      heading: 'WHERE',
      value: ({ category, depth }) =>
        `${'  '.repeat(Math.max(0, depth - (verbose ? 0 : 1)))}${anyCategoryWords(category)}`,
      shrinks: { keeps: 'start', least: 16 },
    },
    ...courseColumns<Row>(several),
  ];
  return [renderTable(columns, shown, width), ...wrap(smallWords(small), width)]
    .filter((line) => line !== '')
    .join('\n');
}

function rowsOf(diff: CategoryDiff, depth: number): Row[] {
  const children = diff.children.toSorted(
    (a, b) => Number(a.children.length === 0) * (Math.abs(b.change ?? 0) - Math.abs(a.change ?? 0)),
  );
  return [{ ...diff, depth }, ...children.flatMap((child) => rowsOf(child, depth + 1))];
}

function smallWords(small: readonly Row[]): string {
  const known = small.flatMap(({ change }) => change ?? []);
  const unknown = small.length - known.length;
  const sum = known.reduce((all, one) => all + one, 0);
  return [
    ...(known.length > 0
      ? [
          `${known.length === 1 ? '1 category' : `${formatCount(known.length)} categories`} changed by less, ${signedSize(sum)} in all (-v).`,
        ]
      : []),
    ...(unknown > 0
      ? [
          `${unknown === 1 ? '1 category' : `${formatCount(unknown)} categories`} cannot be compared (-v).`,
        ]
      : []),
  ].join(' ');
}

const HEADINGS: Readonly<Record<ListName, string>> = {
  processes: 'PROCESS',
  sockets: 'SOCKET',
  caches: 'SLAB CACHE',
  callers: 'CALLER OF VMALLOC',
  cgroups: 'CGROUP',
};

/** What is told without a word: what tells most. */
const BEST: Readonly<Record<ListName, Measure>> = {
  processes: MEASURES.processes[0],
  sockets: MEASURES.sockets[0],
  caches: MEASURES.caches[0],
  callers: MEASURES.callers[0],
  cgroups: MEASURES.cgroups[0],
};

const STATUS_WORDS: Readonly<Record<Status, string>> = {
  both: '',
  new: 'new',
  ended: 'ended',
  'was-empty': '',
  'is-empty': '',
  'only-after': 'not in all lists',
  'only-before': 'not in all lists',
};

/** Those that changed most. */
export function listTable(
  name: ListName,
  list: ListDiff,
  several: boolean,
  { limit, width }: Pick<DiffTextOptions, 'limit' | 'width'>,
): string {
  const changed = list.items.filter(({ change }) => change !== 0);
  const shown = changed.slice(0, limit);
  const columns: Column<ItemDiff>[] = [
    {
      heading: HEADINGS[name],
      value: ({ who }) => whoWords(who),
      shrinks: { keeps: 'ends', least: 20 },
    },
    ...courseColumns<ItemDiff>(several),
    ...(shown.some((item) => statusWords(name, item) !== '')
      ? [{ heading: 'IS', value: (item: ItemDiff) => statusWords(name, item), spare: 1 }]
      : []),
  ];
  const table = shown.length > 0 ? [renderTable(columns, shown, width)] : [];
  return [...table, ...wrap(restWords(name, list, changed.length - shown.length), width)].join(
    '\n',
  );
}

/** What it was measured by, and whether it was there at both ends. */
function statusWords(name: ListName, item: ItemDiff): string {
  const { status, by } = item;
  const there = STATUS_WORDS[status];
  const measure = by === BEST[name] ? '' : measureWords(item);
  return [there, measure].filter((word) => word !== '').join(', ');
}

function restWords(name: ListName, { items, grew, shrank }: ListDiff, more: number): string {
  const measures = [...new Set(items.flatMap(({ by: measure }) => measure ?? []))];
  const by =
    name === 'processes' && measures.length > 0
      ? `, by ${measures.map((measure) => measureWords({ by: measure })).join(' and ')}`
      : '';
  const all = `Of ${formatCount(items.length)} ${PARTS[name]}${by}: ${signedSize(grew)} where they grew, ${signedSize(shrank)} where they shrank.`;
  const rest = more > 0 ? ` ${formatCount(more)} more changed: --limit N.` : '';
  return items.length === 0
    ? // What holds nothing is not listed.
      name === 'sockets'
      ? 'No socket is listed that holds memory.'
      : `There are no ${PARTS[name]}.`
    : grew === 0 && shrank === 0
      ? `Of ${formatCount(items.length)} ${PARTS[name]} none is known to have changed.`
      : `${all}${rest}`;
}

interface DiffTextOptions {
  /** So many of each list. */
  readonly limit: number;
  /** All categories, also those that hardly changed. */
  readonly verbose: boolean;
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width: number | null;
}

/** The columns that show how a figure went; `it` is what it does, where there are more than two inputs. */
function courseColumns<Row extends Course>(several: boolean): Column<Row>[] {
  return [
    {
      heading: 'BEFORE',
      align: 'right',
      value: ({ bytes }) => sizeOrUnknown(bytes[0]),
      spare: 4,
    },
    { heading: 'AFTER', align: 'right', value: ({ bytes }) => sizeOrUnknown(bytes.at(-1)) },
    { heading: 'CHANGE', align: 'right', value: ({ change }) => signedSize(change) },
    {
      heading: 'A MINUTE',
      align: 'right',
      value: ({ perSecond }) => (perSecond === null ? '?' : perMinute(perSecond)),
      spare: 2,
    },
    ...(several ? [{ heading: 'IT', value: itWords, spare: 3 }] : []),
  ];
}

function itWords({ trend, grewEachTime, change }: Course): string {
  if (trend) return trend.course;
  return grewEachTime ? 'grew each time' : change === null ? '?' : '';
}
