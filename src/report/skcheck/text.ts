import { wrap } from '../text/cut.js';
import { tableLines } from '../text/table.js';
import { adviceOf, doubtsOf, legendOf } from './advice.js';
import { headlinesOf } from './headline.js';
import { reasonOf } from './reason.js';
import type { SkcheckReport } from './schema.js';
import { COLUMNS } from './table.js';
import { socketWords } from './words.js';

/** How a word is made to stand out; without colours it stays as it is. */
export type Paint = (style: 'bold' | 'red' | 'dim', text: string) => string;

export interface TextOptions {
  readonly paint?: Paint;
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width?: number | null;
  /** Under each row: why, who else, and where. */
  readonly verbose?: boolean;
}

/** The answer for people in parts, each a list of lines that fit: for who shows a part of it. */
export interface SkcheckPage {
  /** The headline, and what the answer rests on. */
  readonly top: readonly string[];
  /** The table's; null: there is nothing to list. */
  readonly heading: string | null;
  /** For each socket its row, and with `verbose` the reason under it. */
  readonly rows: readonly (readonly string[])[];
  /** What to do, and what the columns mean. */
  readonly end: readonly string[];
}

const INDENT = 6;

/** The answer for people: a headline, one table, what to do. */
export function formatSkcheckText(report: SkcheckReport, options: TextOptions = {}): string {
  const { top, heading, rows, end } = skcheckPage(report, options);
  if (heading === null) return top.join('\n');
  return [...top, '', heading, ...rows.flat(), '', ...end].join('\n');
}

export function skcheckPage(
  report: SkcheckReport,
  { paint = (_, text) => text, width = null, verbose = false }: TextOptions = {},
): SkcheckPage {
  const [headline, ...others] = headlinesOf(report);
  const fit = (lines: readonly string[]) => lines.flatMap((line) => wrap(line, width));
  const style = report.totals.stalled > 0 ? 'red' : 'bold';
  const top = [...fit([headline]).map((line) => paint(style, line)), ...fit(others)];
  if (report.sockets.length === 0) return { top, heading: null, rows: [], end: [] };
  const table = tableLines(COLUMNS, report.sockets, width);
  const rows = report.sockets.map((socket, index) => {
    const row = table.rows[index] ?? '';
    if (!verbose) return [row];
    const name = socketWords(socket);
    const words = `${row.includes(name) ? '' : `${name}: `}${reasonOf(socket)}`;
    const reason = wrap(words, width === null ? null : Math.max(1, width - INDENT));
    return [row, ...reason.map((line) => paint('dim', `${' '.repeat(INDENT)}${line}`))];
  });
  const note = table.note === undefined ? [] : [table.note];
  const end = fit([
    ...adviceOf(report),
    ...doubtsOf(report),
    ...legendOf(report, verbose),
    ...note,
  ]);
  return { top, heading: paint('bold', table.heading), rows, end };
}
