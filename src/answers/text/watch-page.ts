import { cutWords } from './cut.js';

/** One sample as lines: its headline, and rows with changes. */
export interface WatchPage {
  readonly top: readonly string[];
  readonly heading: string;
  readonly rows: readonly string[];
  readonly end: readonly string[];
}

/** The size of a screen and its scroll position. */
export interface ScreenView {
  readonly columns: number;
  readonly rows: number;
  /** How many rows are scrolled past. */
  readonly skipped: number;
  /** Keys are read; otherwise the last line names none. */
  readonly keys: boolean;
}

/** A screenful. */
export interface ScreenFrame {
  /** No more than the screen has rows, none wider than it. */
  readonly lines: readonly string[];
  /** How many rows can be scrolled past and the screen still be full. */
  readonly mostSkipped: number;
}

/**
 * A screenful of a page: the headline stays at the top, the keys at the bottom.
 *
 * @param when the sample's number, time and interval, for the last line
 */
export function watchPageFrame(
  page: WatchPage,
  { columns, rows, skipped, keys }: ScreenView,
  when: string,
): ScreenFrame {
  // The footer, the heading and one row are reserved; the headline takes the remaining lines.
  const top = page.top.slice(0, Math.max(1, rows - 3));
  const room = Math.max(0, rows - top.length - 2);
  const mostSkipped = Math.max(0, page.rows.length - room);
  const first = Math.min(skipped, mostSkipped);
  const shown = page.rows.slice(first, first + room);
  const end = page.end.slice(0, room - shown.length);
  const lines = [...top, page.heading, ...shown, ...end].slice(0, rows - 1);
  const free = Array<string>(Math.max(0, rows - 1 - lines.length)).fill('');
  const words = keys ? ['q: quit', '↑↓: scroll', when] : ['Ctrl-C: quit', when];
  return { lines: [...lines, ...free, cutWords(words.join('  '), columns)].slice(-rows), mostSkipped };
}

/** The same for a pipe: a block of lines, after which comes an empty one. */
export function watchPageBlock(page: WatchPage, sample: number, at: Date): string {
  const when = `sample ${sample}, ${at.toISOString().slice(0, 19)}Z`;
  return [when, ...page.top, page.heading, ...page.rows, ...page.end, ''].join('\n');
}

/** The sample's number, time and interval, for the last line of a screen. */
export function watchWhen(sample: number, at: Date, interval: number): string {
  return `sample ${sample}, ${at.toISOString().slice(11, 19)} UTC, every ${interval} s`;
}
