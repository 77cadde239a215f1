import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { CategoryChange, MemorySample } from '../../account/memory/changes.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';
import { type Column, tableLines } from '../text/table.js';
import { type WatchPage, watchPageBlock } from '../text/watch-page.js';
import { headline } from './headline.js';
import { type TreeRow, treeColumns, treeRows } from './tree-table.js';

/** With it, a terminal of 80 columns has room for every column. */
const LEAST_WHERE = 20;

/** @param width columns of the terminal; null: there is none, and nothing is cut or broken */
export function watchPage(
  answer: MemoryAnswer,
  look: MemorySample,
  width: number | null,
): WatchPage {
  const changes = new Map(look.changes.map((change) => [change.category, change]));
  const [where, bytes, ...others] = treeColumns(answer, false);
  const changed = (
    heading: string,
    spare: number,
    of: (change: CategoryChange) => number | null,
  ): Column<TreeRow> => ({
    heading,
    spare,
    align: 'right',
    value: ({ category }) => {
      const change = changes.get(category.category);
      return change === undefined ? '' : signed(of(change));
    },
  });
  const { heading, rows, note } = tableLines<TreeRow>(
    [
      ...(where ? [{ ...where, shrinks: { keeps: 'words' as const, least: LEAST_WHERE } }] : []),
      ...(bytes ? [bytes] : []),
      changed('SINCE LAST', 1, ({ sinceLast }) => sinceLast),
      changed('SINCE FIRST', 2, ({ sinceFirst }) => sinceFirst),
      ...others,
    ],
    treeRows(answer),
    width,
  );
  return {
    top: wrap(headline(answer), width),
    heading,
    rows,
    end: [
      ...(note === undefined ? [] : wrap(note, width)),
      ...answer.warnings.flatMap(({ message }) => wrap(`warning: ${escapeText(message)}`, width)),
    ],
  };
}

/** One look of several, for a pipe or a terminal on which nothing can be redrawn. */
export function watchBlock(answer: MemoryAnswer, look: MemorySample, width: number | null): string {
  return watchPageBlock(watchPage(answer, look, width), look.number, look.at);
}

function signed(bytes: number | null): string {
  if (bytes === null || bytes === 0) return '';
  return `${bytes > 0 ? '+' : '-'}${formatSize(Math.abs(bytes))}`;
}
