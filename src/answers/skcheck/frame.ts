import { formatCount } from '../../base/size.js';
import { cutWords } from '../text/cut.js';
import type { ScreenFrame, ScreenView } from '../text/watch-page.js';
import type { SkcheckReport, SkcheckSocket } from './schema.js';
import { skcheckPage, type TextOptions } from './text.js';

/** Sort orders of `--watch`; `worst` is the order of a report. */
export const WATCH_SORTS = ['worst', 'pinned', 'unread', 'age'] as const;
export type WatchSort = (typeof WATCH_SORTS)[number];

const KEY: Record<Exclude<WatchSort, 'worst'>, (socket: SkcheckSocket) => number> = {
  pinned: ({ pinned }) => pinned.likely,
  unread: ({ unreadBytes, unsentBytes }) => unreadBytes || unsentBytes,
  age: ({ stalled }) => stalled.forMs ?? -1,
};

/** The visible part of a report. */
export interface View extends ScreenView {
  readonly sort: WatchSort;
  /** Start of the last line: time and interval. */
  readonly when: string;
}

/**
 * Returns one screen: the headline stays at the top and the keys at the bottom. On a small screen, the advice
 * is dropped first, then the lines below the headline.
 */
export function watchFrame(report: SkcheckReport, view: View, options: TextOptions): ScreenFrame {
  const { columns, rows, sort } = view;
  const sockets = sort === 'worst' ? report.sockets : [...report.sockets].sort((a, b) => KEY[sort](b) - KEY[sort](a));
  const page = skcheckPage(
    { ...report, sockets },
    { ...options, width: columns, limit: Number.POSITIVE_INFINITY, keepsOrder: true },
  );
  const heading = page.heading === null ? [] : [page.heading];
  // The footer, the heading and one row are reserved; the headline gets the remaining lines.
  const least = 1 + heading.length + Math.min(1, page.rows.length);
  const top = page.top.slice(0, Math.max(1, rows - least));
  const gap = heading.length > 0 && rows > top.length + least + 3 ? [''] : [];
  const room = Math.max(0, rows - top.length - gap.length - heading.length - 1);
  const lengths = page.rows.map((lines) => lines.length);
  const all = lengths.reduce((sum, length) => sum + length, 0);
  const end = all + page.end.length + 1 <= room ? ['', ...page.end] : [];
  const mostSkipped = lastPage(lengths, room);
  const skipped = Math.min(Math.max(0, view.skipped), mostSkipped);
  const shown: string[] = [];
  let count = 0;
  for (const lines of page.rows.slice(skipped)) {
    if (shown.length + lines.length > room && count > 0) break;
    shown.push(...lines.slice(0, room));
    count++;
  }
  const place =
    count < page.rows.length
      ? `${formatCount(skipped + 1)}-${formatCount(skipped + count)} of ${formatCount(page.rows.length)}`
      : '';
  const lines = [...top, ...gap, ...heading, ...shown, ...end].slice(0, Math.max(0, rows - 1));
  const free = Math.max(0, rows - 1 - lines.length);
  return {
    lines: [...lines, ...Array<string>(free).fill(''), footer(view, place, report.groups === null)].slice(-rows),
    mostSkipped,
  };
}

/** Returns the index of the first row of the last page. */
function lastPage(lengths: readonly number[], room: number): number {
  let first = lengths.length;
  for (let used = 0; first > 0; first--) {
    used += lengths[first - 1] ?? 0;
    if (used > room) break;
  }
  return Math.min(first, Math.max(0, lengths.length - 1));
}

function footer({ columns, when, keys, sort }: View, place: string, sorts: boolean): string {
  const words = keys
    ? ['q: quit', sorts ? `s: sort (${sort})` : '', '↑↓: scroll', place, when]
    : ['Ctrl-C: quit', place, when];
  return cutWords(words.filter((word) => word !== '').join('  '), columns);
}
