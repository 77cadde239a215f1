import { payloadOf } from '../../account/socket.js';
import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize, inflect } from '../../base/size.js';
import { hex } from '../../base/util.js';
import type { Figures, ProcessSockets, Skb, SkbAnswer, SocketAccount } from '../../contracts/sockets.js';
import { type Block, nextBlock, tableBlock } from '../text/blocks.js';
import { killingText } from '../text/freed.js';
import type { Column } from '../text/table.js';

/** The answer to `skb --pid --fd`: a sentence, the queues, every skb if requested, and the command for the process. */
export function skbBlocks(answer: SkbAnswer, source: string): Block[] {
  const { kernel, process, fd, socket, skbs, freedIfKilled, total } = answer;
  const subject = process ? `pid ${process.pid} (${escapeText(process.comm)}) fd ${fd}` : `sock ${hex(socket.sock)}`;
  const live = kernel.source === 'kcore';
  const killing =
    process && freedIfKilled ? killingText(process.pid, freedIfKilled, total.pinnedBytes, live, true) : undefined;
  return [
    `${subject}: ${socketText(answer)} ${holdsText(answer)}`,
    queuesBlock(answer),
    ...(killing === undefined ? [] : [killing]),
    ...(skbs ? [skbsTable(skbs)] : []),
    ...(process && total.pinnedBytes > 0 ? [nextBlock(`kdump-mem stacks --pid ${process.pid} ${source}`)] : []),
  ];
}

/** The answer to `skb --pid`: a sentence, then a line for each socket. */
export function processBlocks(answer: ProcessSockets, source: string): Block[] {
  const { process, sockets, total: sum, freedIfKilled } = answer;
  const subject = `pid ${process.pid} (${escapeText(process.comm)})`;
  const killing = killingText(process.pid, freedIfKilled, sum.pinnedBytes, answer.kernel.source === 'kcore');
  const more = killing === undefined ? [] : [killing];
  if (sockets.length === 0) {
    const isKnown = sum.complete && answer.warnings.length === 0;
    const none = isKnown ? 'has no sockets.' : 'may have sockets: none was found, but the scan is incomplete.';
    return [`${subject} ${none}`, ...more];
  }
  const busy = sockets.filter(({ total }) => isBusy(total) || !total.complete).length;
  const all = busy === 0 || busy === sockets.length ? '' : ` of ${sockets.length}`;
  const many = `${busy || sockets.length}${all} ${inflect(sockets.length, 'socket')}`;
  const hold = inflect(sockets.length, 'holds', 'hold');
  const sums = sumText(sum, `${formatSize(sum.payloadBytes)} of payload`);
  const charged = sockets.reduce((bytes, { total }) => bytes + total.truesizeBytes, 0);
  const note = chargedText(charged, sum);
  const notes = note === undefined ? more : [note, ...more];
  const next = busy > 0 ? [nextBlock(`kdump-mem stacks --pid ${process.pid} ${source}`)] : [];
  return [`${subject}: ${many} ${hold} ${sums}`, processTable(answer), ...notes, ...next];
}

/** Explains memory that the kernel does not charge to the sockets. */
function chargedText(charged: number, { pinnedBytes }: Figures): string | undefined {
  if (charged * 2 >= pinnedBytes) return undefined;
  return `The kernel charges only ${formatSize(charged)} (TRUESIZE) to these sockets. ss -m shows that figure, and socket buffer limits (tcp_rmem, tcp_mem) apply to it, not to PINNED: lower limits are no fix.`;
}

type ProcessSocket = ProcessSockets['sockets'][number];

function processTable({ sockets, total: sum }: ProcessSockets): Block {
  // Most descriptors of a server hold no data.
  const holding = sockets.filter(({ total }) => isBusy(total) || !total.complete);
  const idle = sockets.filter((socket) => !holding.includes(socket));
  const notes = [
    ...(idle.length === 0 ? [] : [idleText(idle, holding.length > 0)]),
    ...sharedText(holding, sum),
    ...(holding.length > 0 ? ['BLOCKS: allocations that contain the data of skbs or their fragments (FRAGS).'] : []),
  ].join('\n');
  if (holding.length === 0) return notes;
  const columns: Column<ProcessSocket>[] = [
    { heading: 'FD', value: ({ fds }) => fds.join(','), align: 'right' },
    { heading: 'SOCKET (LOCAL ← PEER)', value: socketText, shrinks: { keeps: 'ends', least: 36 } },
    { heading: 'STATE', value: ({ socket }) => stateText(socket), spare: 7 },
    ...figureColumns<ProcessSocket>(({ total }) => total),
    { heading: 'PINNED', value: ({ total }) => formatSize(total.pinnedBytes), align: 'right' },
    ...incompleteColumn(sockets, ({ total }) => total),
  ];
  return tableBlock('Sockets', columns, holding, notes);
}

/** Explains rows that add up to more than the total: blocks that several sockets pin. */
export function sharedText(sockets: readonly { readonly total: Figures }[], sum: Figures): string[] {
  const added = sockets.reduce((bytes, { total }) => bytes + total.pinnedBytes, 0);
  return added <= sum.pinnedBytes
    ? []
    : [
        `The rows add up to ${formatSize(added)}, because sockets share memory blocks: the total counts each block once.`,
      ];
}

const MAX_FDS = 20;

/** Returns `2 more sockets (fd 3, 7) hold no data.` */
function idleText(idle: readonly ProcessSocket[], more: boolean): string {
  const fds = idle.map((socket) => socket.fds.join(','));
  const shown = fds.slice(0, MAX_FDS).join(', ');
  const rest = fds.length > MAX_FDS ? ` and ${formatCount(fds.length - MAX_FDS)} more` : '';
  const [noun, verb] = idle.length === 1 ? ['socket', 'holds'] : ['sockets', 'hold'];
  return `${formatCount(idle.length)} ${more ? 'more ' : ''}${noun} (fd ${shown}${rest}) ${verb} no data.`;
}

/** The state as `ss` names it: a datagram socket without a peer is not closed. */
export const stateText = ({ protocol, state }: SocketAccount['socket']): string =>
  escapeText(state === 'CLOSE' && protocol !== 'TCP' ? 'UNCONN' : state);

/** Returns `TCP 10.0.2.15:9000 ← 10.0.2.2:41180`, without parts that the socket lacks. */
export function socketText({ socket }: Pick<SocketAccount, 'socket'>): string {
  const protocol =
    socket.family === 'AF_UNIX' ? 'unix' : socket.type === 'SOCK_RAW' ? `raw ${socket.protocol}` : socket.protocol;
  const ends = [socket.local, socket.peer].map((end) => (end === null ? null : escapeText(end)));
  const [local, peer] = ends;
  const text = peer ? `${local ?? '*'} ← ${peer}` : (local ?? '');
  return `${escapeText(protocol)} ${text}`.trimEnd();
}

function holdsText(account: Pick<SocketAccount, 'total' | 'queues' | 'unreadBytes'>): string {
  const { total } = account;
  if (total.skbs === 0 && total.pinnedBytes === 0 && total.complete) return 'holds no data: its queues are empty.';
  return `holds ${sumText(total, payloadText(account))}`;
}

/** Returns `7.63 MiB for 58.6 KiB of unread data (133×), in 244 order-3 blocks of 32.0 KiB.` */
function sumText(total: Figures, payload: string): string {
  const factor = amplificationText(total);
  const times = factor === undefined ? '' : ` (${factor}×)`;
  return `${atLeast(total)}${formatSize(total.pinnedBytes)} for ${payload}${times}, in ${blocksText(total)}.`;
}

function blocksText({ pages, orders, pageBytes }: Figures): string {
  const used = Object.keys(orders).filter((order) => orders[order]);
  const [order = '0'] = used;
  if (used.length > 1 || order === 'unknown') return `${formatCount(pages)} page blocks`;
  if (order === '0') return count(pages, 'page');
  return `${formatCount(pages)} order-${order} block${inflect(pages, '', 's')} of ${formatSize(pageBytes / pages)}`;
}

/** Returns how much of the payload is unread, and how much is unsent. */
function payloadText({ queues, unreadBytes }: Pick<SocketAccount, 'queues' | 'unreadBytes'>): string {
  const { received, unsent, errors } = payloadOf(queues);
  const parts = [];
  if (unreadBytes === null) parts.push(`${formatSize(received)} in skbs that are not fully read`);
  else if (unreadBytes > 0 || unsent + errors === 0) {
    parts.push(`${formatSize(unreadBytes)} of unread data`);
  }
  if (unsent > 0) parts.push(`${formatSize(unsent)} not yet sent or acknowledged`);
  if (errors > 0) parts.push(`${formatSize(errors)} in its error queue`);
  return parts.join(' and ');
}

/** Returns `at least ` for an incomplete figure. */
export function atLeast({ complete }: Figures): string {
  return complete ? '' : 'at least ';
}

/**
 * Returns the ratio of pinned memory to payload, `6.4` or `27`; undefined without payload, or if the pinned
 * memory is unknown.
 */
export function amplificationText(figures: Figures): string | undefined {
  const { pinnedBytes, payloadBytes, complete } = figures;
  if (payloadBytes === 0 || (pinnedBytes === 0 && !complete)) return undefined;
  const factor = pinnedBytes / payloadBytes;
  return factor < 10 ? factor.toFixed(1) : formatCount(Math.round(factor));
}

/** Returns the figure columns; a narrow terminal drops those with the largest `spare` first. */
function figureColumns<Row>(figuresOf: (row: Row) => Figures): Column<Row>[] {
  const figure = (heading: string, text: (figures: Figures) => string, spare?: number) => ({
    heading,
    value: (row: Row) => text(figuresOf(row)),
    align: 'right' as const,
    ...(spare === undefined ? {} : { spare }),
  });
  return [
    figure('SKBS', ({ skbs }) => formatCount(skbs), 1),
    figure('PAYLOAD', ({ payloadBytes }) => formatSize(payloadBytes)),
    figure('TRUESIZE', ({ truesizeBytes }) => formatSize(truesizeBytes), 4),
    figure('FRAGS', ({ frags }) => formatCount(frags), 6),
    figure('BLOCKS', ({ pages }) => formatCount(pages), 2),
  ];
}

/** Returns a column that marks incomplete rows; none if all rows are complete. */
function incompleteColumn<Row>(all: readonly Row[], figuresOf: (row: Row) => Figures): Column<Row>[] {
  if (all.every((row) => figuresOf(row).complete)) return [];
  return [{ heading: '', value: (row) => (figuresOf(row).complete ? '' : 'incomplete') }];
}

/** Whether a socket holds memory. Rings and messages hold pages without an skb. */
function isBusy({ skbs, pinnedBytes }: Figures): boolean {
  return skbs > 0 || pinnedBytes > 0;
}

function queuesBlock({ queues, total }: SkbAnswer): Block {
  type Row = readonly [name: string, figures: Figures];
  const all = Object.entries(queues);
  const shown: Row[] = all.filter(([, figures]) => isBusy(figures) || !figures.complete);
  const empty = all.filter(([name]) => shown.every(([other]) => other !== name)).map(([name]) => queueWords(name));
  const none = empty.length === 0 ? '' : `Empty queues: ${empty.join(', ')}.`;
  if (shown.length === 0) return none;
  const rows: Row[] = shown.filter(([, figures]) => isBusy(figures)).length > 1 ? [...shown, ['total', total]] : shown;
  const orders = Object.entries(total.orders)
    .filter(([, pages]) => pages > 0)
    .map(([order]) => order);
  // The headline names the only order, and BLOCKS counts it.
  const named = orders.length === 1 && orders[0] !== 'unknown' ? [] : orders;
  const columns: Column<Row>[] = [
    { heading: 'QUEUE', value: ([name]) => queueWords(name) },
    ...figureColumns<Row>(([, figures]) => figures),
    ...named.map(
      (order): Column<Row> => ({
        heading: order === 'unknown' ? 'ORDER ?' : `ORDER ${order}`,
        value: ([, figures]) => formatCount(figures.orders[order] ?? 0),
        align: 'right',
        spare: 3,
      }),
    ),
    { heading: 'SLAB', value: ([, { slabBytes }]) => formatSize(slabBytes), align: 'right', spare: 5 },
    { heading: 'PINNED', value: ([, total]) => formatSize(total.pinnedBytes), align: 'right' },
    ...incompleteColumn(rows, ([, figures]) => figures),
  ];
  return tableBlock('Queues', columns, rows, none);
}

/** `outOfOrder` in words. */
function queueWords(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function skbsTable(skbs: NonNullable<SkbAnswer['skbs']>): Block {
  type Row = { readonly queue: string; readonly skb: Skb };
  const columns: Column<Row>[] = [
    { heading: 'QUEUE', value: ({ queue }) => queueWords(queue) },
    { heading: 'SKB', value: ({ skb }) => hex(skb.address) },
    { heading: 'PAYLOAD', value: ({ skb }) => formatCount(skb.length), align: 'right' },
    { heading: 'TRUESIZE', value: ({ skb }) => formatCount(skb.truesize), align: 'right' },
    { heading: 'FRAGS', value: ({ skb }) => formatCount(skb.frags), align: 'right' },
  ];
  const rows = Object.entries(skbs).flatMap(([queue, entries]) => entries.map((skb) => ({ queue, skb })));
  return tableBlock('skbs', columns, rows);
}
