import { inflect } from '../../base/size.js';
import { columnsOf, cut, cutItems, cutMiddle, cutWords, wrap } from './cut.js';

/** How much of a list is printed. */
export interface ListOptions {
  /** Rows at most. */
  readonly limit: number;
  /** Columns of the terminal; null: no terminal, and nothing is cut or wrapped. */
  readonly width: number | null;
}

/** A column of a table: its heading, and the text of each row. */
export interface Column<Row> {
  readonly heading: string;
  /** The cell's text: hostile text is to be escaped here. */
  readonly value: (row: Row) => string;
  /** Figures stand at the right. */
  readonly align?: 'left' | 'right';
  /**
   * Its cells may be cut where the terminal is too narrow: what is kept of them, and down to which
   * width before other columns are left out. A column without it is never cut. `words`: complete words from
   * the start, and no figure without its unit. `items`: complete items of a list of names with sizes.
   */
  readonly shrinks?: { readonly keeps: keyof typeof CUTTERS; readonly least: number };
  /** It may be left out where the terminal is too narrow: the highest first. */
  readonly spare?: number;
}

/** The lines of a table. */
export interface TableLines {
  readonly heading: string;
  /** One for each row. */
  readonly rows: readonly string[];
  /** Names the columns that are left out; undefined: none is. */
  readonly note: string | undefined;
}

const CUTTERS = { start: cut, words: cutWords, items: cutItems, ends: cutMiddle } as const;

const GAP = 2;

/** Below this nothing is left of a cell that could be known again. */
const MIN_CELL = 4;

/**
 * Formats rows under headings, two spaces between columns, no boxes, no trailing spaces.
 *
 * @param width columns of the terminal; null: no terminal (a pipe, a file), and nothing is cut
 * @param details of a row: a paragraph below it
 */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | null,
  details?: (row: Row) => string,
): string {
  const { heading, rows: lines, note } = tableLines(columns, rows, width);
  const room = width === null ? null : Math.max(20, width - INDENT.length);
  const below = (row: Row) => (details ? wrap(details(row), room).map((line) => `${INDENT}${line}`) : []);
  return [
    heading,
    ...lines.flatMap((line, index) => [line, ...below(rows[index]!)]),
    ...wrap(note ?? '', width).filter((line) => line !== ''),
  ].join('\n');
}

const INDENT = '      ';

/** The same by lines, for a caller that adds lines between them. */
export function tableLines<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | null,
): TableLines {
  const all = columns.map((column) => laidOut(column, rows));
  const shown = width === null ? all : withRoom(all, width);
  const widths = width === null ? shown.map(({ natural }) => natural) : shrunk(shown, width);
  const line = (textOf: (laidOut: LaidOut<Row>) => string) =>
    shown
      .map((laidOut, index) => padded(laidOut.column, textOf(laidOut), widths[index] ?? 0))
      .join(' '.repeat(GAP))
      .trimEnd();
  const left = all.filter((laidOut) => !shown.includes(laidOut)).map(({ column }) => column.heading);
  return {
    heading: line(({ column }) => column.heading),
    rows: rows.map((_, row) => line(({ cells }) => cells[row] ?? '')),
    note:
      left.length === 0
        ? undefined
        : `Hidden at this width: column${inflect(left.length, '', 's')} ${left.join(', ')} (widen the terminal or pipe the output).`,
  };
}

interface LaidOut<Row> {
  readonly column: Column<Row>;
  readonly cells: readonly string[];
  /** The width that nothing is cut at. */
  readonly natural: number;
}

function laidOut<Row>(column: Column<Row>, rows: readonly Row[]): LaidOut<Row> {
  const cells = rows.map(column.value);
  const natural = cells.reduce((width, cell) => Math.max(width, columnsOf(cell)), columnsOf(column.heading));
  return { column, cells, natural };
}

/** The columns that fit, if those that shrink are cut as far as allowed. */
function withRoom<Row>(all: readonly LaidOut<Row>[], width: number): LaidOut<Row>[] {
  const least = ({ column, natural }: LaidOut<Row>) => Math.min(natural, column.shrinks?.least ?? natural);
  const shown = [...all];
  while (total(shown.map(least)) > width) {
    const spare = Math.max(...shown.map(({ column }) => column.spare ?? 0));
    if (spare === 0) break;
    shown.splice(
      shown.findLastIndex(({ column }) => column.spare === spare),
      1,
    );
  }
  return shown;
}

/** The width of each: the widest that may be cut gives way first. */
function shrunk<Row>(shown: readonly LaidOut<Row>[], width: number): number[] {
  const widths = shown.map(({ natural }) => natural);
  const fit = (leastOf: (laidOut: LaidOut<Row>) => number) => {
    while (total(widths) > width) {
      let widest = -1;
      shown.forEach((laidOut, index) => {
        const mayGive = laidOut.column.shrinks && (widths[index] ?? 0) > leastOf(laidOut);
        if (mayGive && (widths[index] ?? 0) > (widths[widest] ?? 0)) widest = index;
      });
      if (widest < 0) return;
      const excess = total(widths) - width;
      const others = shown.map((laidOut, index) =>
        index !== widest && laidOut.column.shrinks ? (widths[index] ?? 0) : 0,
      );
      // Down to the second-widest at once, then one by one.
      const own = widths[widest] ?? 0;
      const next = Math.max(...others, leastOf(shown[widest]!));
      widths[widest] = own > next ? Math.max(next, own - excess) : own - 1;
    }
  };
  fit(({ column }) => column.shrinks?.least ?? 0);
  // No column is left to leave out: better a stump than a line that the terminal breaks.
  fit(() => MIN_CELL);
  return widths;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, GAP * (widths.length - 1));
}

function padded<Row>(column: Column<Row>, cell: string, width: number): string {
  const text = CUTTERS[column.shrinks?.keeps ?? 'start'](cell, width);
  const space = ' '.repeat(width - columnsOf(text));
  return column.align === 'right' ? `${space}${text}` : `${text}${space}`;
}
