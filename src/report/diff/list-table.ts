import type { ItemDiff, ListDiff, Status } from '../../diff/lists.js';
import { type ListName, MEASURES, type Measure } from '../../diff/state.js';
import { wrap } from '../text/cut.js';
import { formatCount } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';
import { courseColumns } from './course-columns.js';
import { PARTS } from './notes.js';
import type { DiffTextOptions } from './options.js';
import { measureWords, signedSize, whoWords } from './words.js';

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
