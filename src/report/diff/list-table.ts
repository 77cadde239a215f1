import type { ItemDiff, ListDiff } from '../../diff/lists.js';
import type { ListName } from '../../diff/state.js';
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
    ...(shown.some((item) => statusWords(item) !== '')
      ? [{ heading: 'IS', value: statusWords, spare: 1 }]
      : []),
  ];
  const table = shown.length > 0 ? [renderTable(columns, shown, width)] : [];
  return [...table, ...wrap(restWords(name, list, changed.length - shown.length), width)].join(
    '\n',
  );
}

/** What it was measured by, and whether it was there at both ends. */
function statusWords(item: ItemDiff): string {
  const { status } = item;
  const there =
    status === 'both'
      ? []
      : [status === 'new' ? 'new' : status === 'ended' ? 'ended' : 'not in all lists'];
  return [...there, measureWords(item)].filter((word) => word !== '').join(', ');
}

function restWords(name: ListName, { items, grew, shrank }: ListDiff, more: number): string {
  const all = `Of ${formatCount(items.length)} ${PARTS[name]}: ${signedSize(grew)} where they grew, ${signedSize(shrank)} where they shrank.`;
  const rest = more > 0 ? ` ${formatCount(more)} more changed: --limit N.` : '';
  return items.length === 0
    ? `There are no ${PARTS[name]}.`
    : grew === 0 && shrank === 0
      ? `Of ${formatCount(items.length)} ${PARTS[name]} none is known to have changed.`
      : `${all}${rest}`;
}
