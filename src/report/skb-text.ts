import type { Figures } from '../account/figures.js';
import type { ProcessAnswer, SkbAnswer } from '../account/skb.js';
import type { SocketAccount } from '../account/socket.js';
import { payloadOf } from '../account/unread.js';
import { escapeText } from './escape.js';
import { formatCount, formatSize } from './size.js';
import { type Column, formatTable } from './titled-table.js';

/** The answer to `skb --pid --fd`: a sentence, the queues, and every skb if they were kept. */
export function skbText(answer: SkbAnswer): string {
  const { process, fd, socket, skbs } = answer;
  const who = process
    ? `pid ${process.pid} (${escapeText(process.comm)}) fd ${fd}`
    : `sock 0x${socket.sock.toString(16)}`;
  const parts = [`${who}: ${socketText(answer)} ${holdsText(answer)}`, queuesTable(answer)];
  const killing = killingText(answer);
  if (killing !== undefined) parts.push(killing);
  if (skbs) parts.push(skbsTable(skbs));
  return parts.join('\n\n');
}

function killingText({ process, total, freedIfKilled }: SkbAnswer): string | undefined {
  if (!process || !freedIfKilled) return undefined;
  const { low, high, toPools } = freedIfKilled;
  const killing = `Killing pid ${process.pid}`;
  if (high === null) {
    if (low > 0) return `${killing} gives back at least ${formatSize(low)}.`;
    return `What killing pid ${process.pid} gives back cannot be told.`;
  }
  if (high === 0) {
    if (total.pinnedBytes === 0) return undefined;
    return `${killing} alone gives none of it back: something else has this socket open too.`;
  }
  if (formatSize(low) === formatSize(high)) return `${killing} gives back ${formatSize(high)}.`;
  const between =
    low === 0
      ? `${killing} gives back up to ${formatSize(high)}`
      : `${killing} gives back ${formatSize(low)} to ${formatSize(high)}`;
  if (toPools === 0) return `${between}.`;
  return `${between}: the driver’s page pool may keep ${formatSize(toPools)} for new packets.`;
}

/** The answer to `skb --pid`: a sentence, then a line for each socket. */
export function skbProcessText(answer: ProcessAnswer): string {
  const { process, sockets, total: sum } = answer;
  const who = `pid ${process.pid} (${escapeText(process.comm)})`;
  if (sockets.length === 0) return `${who} has no sockets`;
  const many = sockets.length === 1 ? '1 socket' : `${sockets.length} sockets`;
  const table = formatTable(
    [
      { title: 'FD', align: 'right' },
      { title: 'SOCKET' },
      { title: 'STATE' },
      ...FIGURE_COLUMNS,
      { title: 'PINNED', align: 'right' },
      { title: '' },
    ],
    sockets.map(({ fds, total, ...account }) => [
      fds.join(','),
      socketText(account),
      escapeText(account.socket.state),
      ...figureCells(total),
      formatSize(total.pinnedBytes),
      total.complete ? '' : 'incomplete',
    ]),
  );
  const hold = sockets.length === 1 ? 'holds' : 'hold';
  return `${who}: ${many} ${hold} ${sumText(sum, `${formatSize(sum.payloadBytes)} of payload`)}\n\n${table}`;
}

/** `TCP 10.0.2.15:9000 ← 10.0.2.2:41180`; what the socket lacks is left out. */
export function socketText({ socket }: Pick<SocketAccount, 'socket'>): string {
  const protocol =
    socket.family === 'AF_UNIX'
      ? 'unix'
      : socket.type === 'SOCK_RAW'
        ? `raw ${socket.protocol}`
        : socket.protocol;
  const ends = [socket.local, socket.peer].map((end) => (end === null ? null : escapeText(end)));
  const [local, peer] = ends;
  const text = peer ? `${local ?? '*'} ← ${peer}` : (local ?? '');
  return `${escapeText(protocol)} ${text}`.trimEnd();
}

function holdsText(account: Pick<SocketAccount, 'total' | 'queues' | 'unreadBytes'>): string {
  const { total } = account;
  if (total.skbs === 0 && total.pinnedBytes === 0 && total.complete)
    return 'holds nothing: its queues are empty';
  return `holds ${sumText(total, payloadText(account))}`;
}

/** `1.68 MiB in 430 pages for 63.7 KiB of unread data (27×)` */
function sumText(total: Figures, payload: string): string {
  const pages = total.pages === 1 ? '1 page' : `${formatCount(total.pages)} pages`;
  const factor = amplificationText(total);
  const times = factor === undefined ? '' : ` (${factor}×)`;
  return `${atLeast(total)}${formatSize(total.pinnedBytes)} in ${pages} for ${payload}${times}`;
}

/** What of the payload waits to be read, and what to be sent. */
function payloadText({
  queues,
  unreadBytes,
}: Pick<SocketAccount, 'queues' | 'unreadBytes'>): string {
  const { received, unsent, errors } = payloadOf(queues);
  const parts = [];
  if (unreadBytes === null) parts.push(`${formatSize(received)} in skbs not yet read whole`);
  else if (unreadBytes > 0 || unsent + errors === 0) {
    parts.push(`${formatSize(unreadBytes)} of unread data`);
  }
  if (unsent > 0) parts.push(`${formatSize(unsent)} not yet sent or acknowledged`);
  if (errors > 0) parts.push(`${formatSize(errors)} in its error queue`);
  return parts.join(' and ');
}

/** `at least ` before a figure that something is missing from. */
export function atLeast({ complete }: Figures): string {
  return complete ? '' : 'at least ';
}

/**
 * How many times the payload is pinned, `6.4` or `27`; undefined where there is no payload, or nothing
 * is known of what it pins.
 */
export function amplificationText(figures: Figures): string | undefined {
  const { pinnedBytes, payloadBytes, complete } = figures;
  if (payloadBytes === 0 || (pinnedBytes === 0 && !complete)) return undefined;
  const factor = pinnedBytes / payloadBytes;
  return factor < 10 ? factor.toFixed(1) : formatCount(Math.round(factor));
}

const FIGURE_COLUMNS: readonly Column[] = [
  { title: 'SKBS', align: 'right' },
  { title: 'PAYLOAD', align: 'right' },
  { title: 'TRUESIZE', align: 'right' },
  { title: 'FRAGS', align: 'right' },
  { title: 'PAGES', align: 'right' },
];

function figureCells(figures: Figures): string[] {
  return [
    formatCount(figures.skbs),
    formatSize(figures.payloadBytes),
    formatSize(figures.truesizeBytes),
    formatCount(figures.frags),
    formatCount(figures.pages),
  ];
}

/** Rings and messages hold pages without an skb. */
function isBusy({ skbs, pinnedBytes }: Figures): boolean {
  return skbs > 0 || pinnedBytes > 0;
}

function queuesTable({ queues, total }: SkbAnswer): string {
  const shown = Object.entries(queues).filter(
    ([name, figures]) =>
      name === 'receive' || name === 'write' || isBusy(figures) || !figures.complete,
  );
  const busy = shown.filter(([, figures]) => isBusy(figures));
  const rows = busy.length > 1 ? [...shown, ['total', total] as const] : shown;
  const orders = Object.entries(total.orders)
    .filter(([, pages]) => pages > 0)
    .map(([order]) => order);
  return formatTable(
    [
      { title: 'QUEUE' },
      ...FIGURE_COLUMNS,
      ...orders.map(
        (order): Column => ({
          title: order === 'unknown' ? 'ORDER ?' : `ORDER ${order}`,
          align: 'right',
        }),
      ),
      { title: 'SLAB', align: 'right' },
      { title: 'PINNED', align: 'right' },
      { title: '' },
    ],
    rows.map(([name, figures]) => [
      name,
      ...figureCells(figures),
      ...orders.map((order) => formatCount(figures.orders[order] ?? 0)),
      formatSize(figures.slabBytes),
      formatSize(figures.pinnedBytes),
      figures.complete ? '' : 'incomplete',
    ]),
  );
}

function skbsTable(skbs: NonNullable<SocketAccount['skbs']>): string {
  return formatTable(
    [
      { title: 'QUEUE' },
      { title: 'SKB' },
      { title: 'PAYLOAD', align: 'right' },
      { title: 'TRUESIZE', align: 'right' },
      { title: 'FRAGS', align: 'right' },
    ],
    Object.entries(skbs).flatMap(([queue, entries]) =>
      entries.map((skb) => [
        queue,
        `0x${skb.address.toString(16)}`,
        formatCount(skb.length),
        formatCount(skb.truesize),
        formatCount(skb.frags),
      ]),
    ),
  );
}
