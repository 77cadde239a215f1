import type { DrawerDiff } from '../../diff/drawers.js';
import { anyDrawerWords } from '../memory/words.js';
import { wrap } from '../text/cut.js';
import { formatCount } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';
import { courseColumns } from './course-columns.js';
import type { DiffTextOptions } from './options.js';
import { signedSize } from './words.js';

interface Row extends DrawerDiff {
  readonly depth: number;
}

/** Of what changed most, less than this part is not shown. */
const SMALL = 0.01;

/** The tree by what changed; what hardly did is one line, so that all can be added up. */
export function drawerTable(
  all: DrawerDiff,
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
      value: ({ drawer, depth }) =>
        `${'  '.repeat(Math.max(0, depth - (verbose ? 0 : 1)))}${anyDrawerWords(drawer)}`,
      shrinks: { keeps: 'start', least: 16 },
    },
    ...courseColumns<Row>(several),
  ];
  return [renderTable(columns, shown, width), ...wrap(smallWords(small), width)]
    .filter((line) => line !== '')
    .join('\n');
}

function rowsOf(diff: DrawerDiff, depth: number): Row[] {
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
          `${known.length === 1 ? '1 drawer' : `${formatCount(known.length)} drawers`} changed by less, ${signedSize(sum)} in all (-v).`,
        ]
      : []),
    ...(unknown > 0
      ? [
          `${unknown === 1 ? '1 drawer' : `${formatCount(unknown)} drawers`} cannot be compared (-v).`,
        ]
      : []),
  ].join(' ');
}
