import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { type Column, tableLines } from '../text/table.js';
import { adviceOf, doubtsOf, legendOf } from './advice.js';
import { headlinesOf } from './headline.js';
import type { SkcheckReport, SkcheckSocket } from './schema.js';
import { formatSpan, socketWords } from './words.js';

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
    const words = `${row.includes(name) ? '' : `${name}, `}${reasonOf(socket)}`;
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

/** One line a socket: who, which, what is wrong, how much and for how long, what it pins. */
const COLUMNS: readonly Column<SkcheckSocket>[] = [
  { heading: 'PID', align: 'right', value: ({ pid }) => (pid === null ? '-' : String(pid)) },
  {
    heading: 'COMM',
    value: ({ comm }) => (comm === null ? '-' : escapeText(comm)),
    shrinks: { keeps: 'start', least: 6 },
  },
  { heading: 'FD', align: 'right', value: fdWords, spare: 2 },
  { heading: 'SOCKET', value: socketWords, shrinks: { keeps: 'ends', least: 14 } },
  { heading: 'VERDICT', value: verdictWords, shrinks: { keeps: 'start', least: 10 } },
  {
    heading: 'UNREAD',
    align: 'right',
    value: ({ unreadBytes, unsentBytes }) => formatSize(unreadBytes || unsentBytes),
    spare: 1,
  },
  { heading: 'AGE', align: 'right', value: forWords, spare: 3 },
  { heading: 'PINNED', align: 'right', value: pinnedWords },
  { heading: 'BOUNDS', value: boundsWords, spare: 4 },
];

/** `3+1`: descriptor 3, and another; `(3)`: that of the listener that has not accepted it. */
function fdWords({ fds, via }: SkcheckSocket): string {
  if (fds.length === 0) return '-';
  const words = `${fds[0]}${fds.length > 1 ? `+${fds.length - 1}` : ''}`;
  return via === 'accept-queue' ? `(${words})` : words;
}

function verdictWords({ stalled: { verdict, certainty } }: SkcheckSocket): string {
  return `${verdict}${certainty === 'likely' ? '?' : ''}`;
}

function forWords({ stalled: { verdict, forMs } }: SkcheckSocket): string {
  if (forMs === null) return verdict === 'reading' ? '-' : '?';
  return formatSpan(forMs).replace(' min', 'm').replace(' ', '');
}

function pinnedWords({ pinned, counted }: SkcheckSocket): string {
  if (counted?.complete) return formatSize(counted.pinnedBytes);
  return pinned.high === 0 ? '-' : formatSize(pinned.likely);
}

function boundsWords({ pinned, counted }: SkcheckSocket): string {
  if (counted?.complete) return 'counted';
  return pinned.high === 0 ? '' : formatRange(pinned.low, pinned.atMost);
}

/** `0.84-2.9 MiB`; the unit once where both ends share it; `0.84 MiB-?`: at most is not known. */
export function formatRange(low: number, high: number | null): string {
  if (high === null) return `${formatSize(low)}-?`;
  const [from, to] = [formatSize(low), formatSize(high)];
  const unit = to.slice(to.indexOf(' '));
  return from.endsWith(unit) && unit.startsWith(' ')
    ? `${from.slice(0, -unit.length)}-${to}`
    : `${from}-${to}`;
}

/**
 * The reason under a row: what was seen, who holds the socket or waits for it too, and where that runs. All
 * text in it is inert.
 */
function reasonOf(socket: SkcheckSocket): string {
  const { verdict, certainty, because } = socket.stalled;
  const word = `${certainty === 'likely' ? 'likely ' : ''}${verdict}: `;
  const also = holdersWords(
    socket.via === 'accept-queue' ? 'its listener is also held by' : 'also held by',
    socket.holders.slice(1),
  );
  const waiting = holdersWords('waiting clients:', known(socket.waiting));
  // A unix socket seldom has a name that tells who is behind it; of a pair it is told already.
  const other = holdersWords(
    'other end:',
    known(verdict === 'deadlocked-pair' || !socket.otherEnd ? [] : [socket.otherEnd]),
  );
  const place = placeWords(socket);
  const besides = socket.also.map((each) => `; also ${each.verdict}: ${each.because}`).join('');
  return `${word}${because}${waiting}${besides}${also}${other}${place}`;
}

interface HolderWords {
  readonly pid: number;
  readonly comm: string | null;
  readonly fds: readonly number[];
}

/** Those of which a process is known. */
function known(ends: SkcheckSocket['waiting']): HolderWords[] {
  return ends.flatMap(({ pid, comm, fds }) => (pid === null ? [] : [{ pid, comm, fds }]));
}

const MOST_NAMED = 5;

function holdersWords(lead: string, holders: readonly HolderWords[]): string {
  if (holders.length === 0) return '';
  const named = holders
    .slice(0, MOST_NAMED)
    .map(
      ({ pid, comm, fds }) => `${pid}${comm === null ? '' : ` (${escapeText(comm)})`} fd ${fds[0]}`,
    );
  const rest = holders.length - named.length;
  return `; ${lead} pid ${named.join(', ')}${rest > 0 ? ` and ${formatCount(rest)} more` : ''}`;
}

/** Where it runs, when that is not plainly this host. */
function placeWords({ pod, container, cgroup, netnsName, holders }: SkcheckSocket): string {
  const words: string[] = [];
  if (pod !== null) words.push(`pod ${escapeText(pod)}`);
  if (container !== null) words.push(`container ${escapeText(container.slice(0, 12))}`);
  if (netnsName !== null) words.push(`netns ${escapeText(netnsName)}`);
  const inner = holders[0]?.nsPids.at(-1);
  if (inner !== undefined && (holders[0]?.nsPids.length ?? 0) > 1)
    words.push(`pid ${inner} inside`);
  if (pod === null && container === null && cgroup !== null && cgroup !== '/')
    words.push(`cgroup ${escapeText(cgroup)}`);
  return words.length === 0 ? '' : `; in ${words.join(', ')}`;
}
