import { STALE_CODES } from '../stale/verdict.js';
import { cut, cutMiddle, wrap } from './cut.js';
import { escapeText } from './escape.js';
import { formatCount, formatSize } from './size.js';
import { reasonOf } from './skcheck-reason.js';
import type { SkcheckReport, SkcheckSocket } from './skcheck-schema.js';
import { formatSpan, socketWords } from './skcheck-words.js';
import { type Column, formatTable } from './titled-table.js';

/** The width that a report keeps to. */
const WIDTH = 100;

/** How a word is made to stand out; without colours it stays as it is. */
export type Paint = (style: 'bold' | 'red' | 'dim', text: string) => string;

/** The answer for people: a headline, one table with a reason under each row, what to do. */
export function formatSkcheckText(report: SkcheckReport, paint: Paint = (_, text) => text): string {
  const { sockets, totals } = report;
  const headline = [paint(totals.stalled > 0 ? 'red' : 'bold', headlineOf(report))];
  const others = othersOf(report);
  if (others !== '') headline.push(others);
  if (report.host.samples === 1)
    headline.push(
      `(from one sample, judged by when data last came; ${report.host.source === 'capture' ? 'skcheck --capture takes two, which are surer' : '--interval 2 is surer'})`,
    );
  if (report.bounds.census) headline.push(...boundsOf(report.bounds));
  for (const process of report.processes)
    headline.push(
      `pid ${process.pid}${process.comm === null ? '' : ` (${escapeText(process.comm)})`}: ${process.because} (may leak descriptors)`,
    );
  if (sockets.length === 0) return headline.join('\n');
  const rows = fitRows(sockets.map(rowOf));
  const table = formatTable(COLUMNS, rows).split('\n');
  const lines = [...headline, '', paint('bold', table[0] ?? '')];
  sockets.forEach((socket, index) => {
    lines.push(table[index + 1] ?? '');
    const name = socketWords(socket);
    const whole = rows[index]?.[SOCKET_AT] === name ? '' : `${name}: `;
    for (const line of wrap(`${whole}${reasonOf(socket)}`, WIDTH - 6))
      lines.push(paint('dim', `      ${line}`));
  });
  lines.push('', ...advice(report));
  return lines.join('\n');
}

/** `1.68 MiB (0.84-2.9 MiB)`; the unit once where both ends share it. */
export function formatRange(low: number, high: number): string {
  const [from, to] = [formatSize(low), formatSize(high)];
  const unit = to.slice(to.indexOf(' '));
  return from.endsWith(unit) && unit.startsWith(' ')
    ? `${from.slice(0, -unit.length)}-${to}`
    : `${from}-${to}`;
}

function headlineOf({ totals, host, complete }: SkcheckReport): string {
  const { stalled, sockets, pinned } = totals;
  const of = `${formatCount(sockets)} ${sockets === 1 ? 'socket' : 'sockets'}`;
  if (stalled === 0) {
    const doubts = [
      ...(totals.undecided === 0 ? [] : [`${formatCount(totals.undecided)} could not be judged`]),
      ...(complete ? [] : ['not everything could be looked at']),
    ];
    return doubts.length === 0
      ? `None of ${of} has stopped reading`
      : `None of ${of} is seen to have stopped reading; ${doubts.join('; ')}`;
  }
  const have =
    host.samples === 1
      ? stalled === 1
        ? 'seems to have'
        : 'seem to have'
      : stalled === 1
        ? 'has'
        : 'have';
  const they = stalled === 1 ? 'it pins' : 'they pin';
  return `${formatCount(stalled)} of ${of} ${have} stopped reading; ${they} about ${formatSize(pinned.likely)} (${formatSize(pinned.low)} to ${formatSize(pinned.high)})`;
}

/** With --census: what all sockets together can pin at most. */
function boundsOf({ census, theoreticalWorstBytes }: SkcheckReport['bounds']): string[] {
  if (!census) return [];
  const orders = Object.entries(census.orders).map(
    ([order, count]) => `${formatCount(count)} of order ${order}`,
  );
  const words = [
    `Census: ${formatSize(census.bytes)} of pages that packets can lie in (${orders.join(', ') || 'none'}), counted in ${formatSpan(census.tookMs)}.`,
  ];
  if (theoreticalWorstBytes !== null)
    words.push(
      `Theoretical worst case, not an estimate: ${formatSize(theoreticalWorstBytes)} (each skb in use with 18 pages of 32 KiB).`,
    );
  return words.flatMap((line) => wrap(line, WIDTH));
}

/** What else is wrong on the host, by number: `2 senders are stalled, 1 listener is full`. */
function othersOf({ totals: { verdicts } }: SkcheckReport): string {
  const said = OTHERS.flatMap(([code, one, many]) => {
    const count = verdicts[code] ?? 0;
    return count === 0 ? [] : [`${formatCount(count)} ${count === 1 ? one : many}`];
  });
  return said.length === 0 ? '' : `Also: ${said.join(', ')}`;
}

const OTHERS = [
  ['stalled-sender', 'sender waits for its peer', 'senders wait for their peers'],
  ['never-accepting', 'listener accepts nothing', 'listeners accept nothing'],
  ['backlog-full', 'listener is full', 'listeners are full'],
  ['udp-dropping', 'socket drops packets', 'sockets drop packets'],
  ['slow-reader', 'reader is too slow', 'readers are too slow'],
] as const;

const COLUMNS: readonly Column[] = [
  { title: 'PID', align: 'right' },
  { title: 'COMM' },
  { title: 'FD', align: 'right' },
  { title: 'SOCKET' },
  { title: 'UNREAD', align: 'right' },
  { title: 'FOR', align: 'right' },
  { title: 'PINNED' },
];

function rowOf(socket: SkcheckSocket): string[] {
  const { low, likely, high } = socket.pinned;
  const { verdict, forMs: waited } = socket.stalled;
  return [
    socket.pid === null ? '-' : String(socket.pid),
    cut(socket.comm === null ? '-' : escapeText(socket.comm), 15),
    socket.fds.length === 0
      ? '-'
      : `${socket.fds[0]}${socket.fds.length > 1 ? `+${socket.fds.length - 1}` : ''}`,
    socketWords(socket),
    formatSize(socket.unreadBytes || socket.unsentBytes),
    waited === null
      ? verdict === 'reading'
        ? '-'
        : '?'
      : formatSpan(waited).replace(' min', 'm').replace(' ', ''),
    socket.counted?.complete
      ? `${formatSize(socket.counted.pinnedBytes)} (counted)`
      : high === 0
        ? '-'
        : `${formatSize(likely)} (${formatRange(low, high)})`,
  ];
}

const SOCKET_AT = COLUMNS.findIndex(({ title }) => title === 'SOCKET');

/** Cuts the sockets' names in their middle so far that a row keeps to the width. */
function fitRows(rows: string[][]): string[][] {
  const others = COLUMNS.map((column, index) =>
    index === SOCKET_AT
      ? 0
      : rows.reduce((width, row) => Math.max(width, row[index]?.length ?? 0), column.title.length),
  );
  const gaps = 2 * (COLUMNS.length - 1);
  const room = WIDTH - gaps - others.reduce((sum, width) => sum + width, 0);
  return rows.map((row) =>
    row.map((cell, index) => (index === SOCKET_AT ? cutMiddle(cell, Math.max(16, room)) : cell)),
  );
}

function advice({ sockets }: SkcheckReport): string[] {
  const stalled = sockets.filter((each) => STALE_CODES.includes(each.stalled.verdict));
  const lines: string[] = [];
  const [worst] = stalled;
  if (worst?.pid != null) {
    const stopped = worst.holders.every(({ threadStates }) => /^T+$/.test(threadStates ?? ''));
    lines.push(
      stopped
        ? `pid ${worst.pid} is stopped: kill -CONT ${worst.pid} lets it read on.`
        : `The memory comes back when pid ${worst.pid} reads, closes its descriptor or ends.`,
    );
  }
  lines.push('FOR: data has waited at least so long. PINNED: likely (at least - at most).');
  return lines;
}
