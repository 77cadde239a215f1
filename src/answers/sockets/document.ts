import type { OutsideRow } from '../../account/outside-queues/row.js';
import { unownedPages } from '../../account/outside-queues/words.js';
import { type CensusEntry, type Grouping, type Keeper, UNOWNED } from '../../account/owners.js';
import type { CensusAnswer } from '../../account/sockets.js';
import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize, inflect } from '../../base/size.js';
import { hex } from '../../base/util.js';
import type { CensusHolder, Group } from '../../contracts/sockets.js';
import { share } from '../memory/words.js';
import { amplificationText, atLeast, sharedText, socketText, stateText } from '../skb/document.js';
import { type Block, nextBlock, tableBlock } from '../text/blocks.js';
import { freedCell, freedLegend } from '../text/freed.js';
import type { Column } from '../text/table.js';

interface SocketsChoice {
  readonly by?: Grouping | undefined;
  /** Maximum number of rows. */
  readonly limit: number;
  /** Adds to each socket its holders, address and queues, and lists small rows outside queues. */
  readonly verbose?: boolean | undefined;
  /** The options that name the dump, for the next command; undefined: none is named. */
  readonly source?: string;
}

/**
 * The answer to `sockets`: a headline, then a line for each socket or group.
 *
 * @param entries the sockets to list, of those in the answer
 */
export function socketsBlocks(
  answer: CensusAnswer,
  entries: readonly CensusEntry[],
  { by, limit, verbose = false, source }: SocketsChoice,
): Block[] {
  const groups = by && answer.groups;
  const all = groups ? groups.length : entries.length;
  const blocks: Block[] = [headline(answer)];
  if (all === 0) {
    if (answer.sockets.length > 0) blocks.push(NOTHING);
  } else if (groups) {
    blocks.push(groupsTable(groups.slice(0, limit), by));
  } else {
    const columns = SOCKET_COLUMNS.filter(({ heading }) => heading !== BLOCKS);
    const shown = entries.slice(0, limit);
    const cells = shown.map((entry) => `${busiestQueue(entry)} ${directedText(entry)}`);
    const signs = SIGNS.filter(([sign]) => cells.some((cell) => sign.test(cell))).map(([, words]) => words);
    blocks.push(tableBlock('Sockets', columns, shown, '', verbose ? detailsOf : undefined));
    blocks.push([MEANS, ...signs].join(' '));
  }
  if (all > limit) {
    const what = groups ? 'groups' : 'sockets';
    blocks.push(`${formatCount(all - limit)} more ${what}: --limit N or --all lists them.`);
  }
  if (!groups && all > 0 && all <= limit) blocks.push(...sharedText(entries, answer.totals));
  const orphans = groups
    ? groups.slice(0, limit).some(({ key }) => key === UNOWNED.nothing)
    : entries.slice(0, limit).some(({ keeper }) => keeper === 'nothing');
  if (orphans) blocks.push(ORPHANS);
  blocks.push(...outsideQueuesBlocks(answer, verbose));
  const next = source === undefined ? undefined : nextSubject(entries, by === 'process' ? groups : undefined);
  if (next !== undefined) blocks.push(nextBlock(`kdump-mem skb ${next} ${source}`));
  return blocks;
}

/** Options of `skb` for the socket, or process, that pins most. */
function nextSubject(entries: readonly CensusEntry[], processes: readonly Group[] | undefined): string | undefined {
  const process = processes?.find(({ key, total }) => total.pinnedBytes > 0 && /^\d+ /.test(key));
  if (process) return `--pid ${process.key.split(' ')[0]}`;
  const [entry] = entries;
  if (!entry || entry.total.pinnedBytes === 0) return undefined;
  const [holder] = entry.holders;
  const isOne = entries.filter(({ holders: [owner] }) => owner?.pid === holder?.pid).length === 1;
  if (holder) return isOne ? `--pid ${holder.pid} --fd ${holder.fd}` : `--pid ${holder.pid}`;
  return `--sock ${hex(entry.socket.sock)}`;
}

const MEANS =
  'PINNED: memory that is in use until the data is read, or acknowledged by the peer (write, retransmit). RATIO: PINNED divided by PAYLOAD.';

/** What a sign in the columns QUEUE and SOCKET means, where a row has it. */
const SIGNS: readonly (readonly [RegExp, string])[] = [
  // `reader_queue` of struct udp_sock.
  [
    /^reader/,
    'Queue “reader”: datagrams that a read took from the receive queue of UDP, together with the one that it returned.',
  ],
  [/^\S+ \+\d/, '+1: one more queue of that socket holds data.'],
  [/ \u2192 /, '→: most of it is data that this socket sends; ←: data that it received.'],
];

const NOTHING = 'No sockets to list. Sockets that pin no memory are listed with --all.';

function headline(answer: CensusAnswer): string {
  const { sockets, totals: total, processes } = answer;
  if (sockets.length === 0 && !(total.complete && answer.complete))
    return 'No sockets found: the structures that lead to them could not be read.';
  const holding = sockets.filter((entry) => entry.total.pinnedBytes > 0).length;
  const amount = `${atLeast(total)}${formatSize(total.pinnedBytes)} of memory${shareWords(answer)} for ${formatSize(total.payloadBytes)} of data`;
  const count = `${formatCount(holding)} of ${formatCount(sockets.length)} sockets`;
  const isSmall = total.complete && answer.complete && total.pinnedBytes < SMALL_BYTES;
  const pinned = isSmall ? `No socket pins much memory: ${count} pin ${amount}.` : `${count} pin ${amount}.`;
  const [top] = processes;
  if (!top || top.total.pinnedBytes === 0) return pinned;
  const percent = Math.round((top.total.pinnedBytes / total.pinnedBytes) * 100);
  const held = percent === 100 ? 'almost all' : `${percent} %`;
  const part = top.total.pinnedBytes === total.pinnedBytes ? 'all' : held;
  return isSmall
    ? pinned
    : `${pinned} ${ownerText(top.key)} holds ${part} of it${unreadWords(answer)}.${wasteWords(answer)}`;
}

/** The part of all memory, if it is one percent or more. */
function shareWords({ totals, outsideQueues, kernel }: CensusAnswer): string {
  const pages = outsideQueues.find(({ code }) => code === 'other-pages');
  if (pages?.code !== 'other-pages' || !('figures' in pages)) return '';
  const all = pages.figures.present * kernel.pageSize;
  return totals.pinnedBytes >= all / 100 ? ` (${share(totals.pinnedBytes, all)})` : '';
}

/** Whether the process with the most has it in receive queues alone: an owner who does not read, or reads slowly. */
function unreadWords({ sockets, processes: [top] }: CensusAnswer): string {
  const pid = Number(/^\d+/.exec(top?.key ?? '')?.[0]);
  const all = sockets.filter(({ holders: [holder] }) => holder?.pid === pid);
  const own = all.filter(({ total }) => total.pinnedBytes > 0);
  const isUnread =
    own.length > 0 &&
    all.every(({ total }) => total.complete) &&
    own.every(({ queues }) =>
      Object.entries(queues).every(([name, { pinnedBytes }]) => name === 'receive' || pinnedBytes === 0),
    );
  return isUnread ? ', in data that it has not read' : '';
}

/** The socket that pins much more than its data, if it has a notable part of all. */
function wasteWords({ sockets, totals }: CensusAnswer): string {
  const times = ({ total }: CensusEntry) => total.pinnedBytes / total.payloadBytes;
  const [most] = sockets
    .filter(({ total }) => total.complete && total.payloadBytes > 0 && total.pinnedBytes * 10 >= totals.pinnedBytes)
    .toSorted((a, b) => times(b) - times(a));
  const holder = most?.holders[0];
  return most && holder && times(most) >= 10
    ? ` fd ${holder.fd} of pid ${holder.pid} (${escapeText(holder.comm)}) pins ${Math.round(times(most))} times its data.`
    : '';
}

function ownerText(key: string): string {
  return /^\d+ /.test(key) ? `pid ${escapeText(key.replace(/^(\d+) (.*)$/s, '$1 ($2)'))}` : escapeText(key);
}

/** Allocations by order: a detail, which -v has below each row. */
const BLOCKS = 'BLOCKS';

const PINNED: Column<Pick<CensusEntry, 'total'>> = {
  heading: 'PINNED',
  value: ({ total }) => `${total.complete ? '' : '≥ '}${formatSize(total.pinnedBytes)}`,
  align: 'right',
};

/** A socket whose most memory is data that it sends points to its peer. */
const directedText = (entry: CensusEntry): string =>
  /^(?:write|retransmit)/.test(busiestQueue(entry)) ? socketText(entry).replace(' ← ', ' → ') : socketText(entry);

/** A line for each socket. */
export const SOCKET_COLUMNS: readonly Column<CensusEntry>[] = [
  PINNED,
  { heading: BLOCKS, value: blocksText, align: 'right', spare: 5 },
  { heading: 'PAYLOAD', value: ({ total }) => formatSize(total.payloadBytes), align: 'right' },
  { heading: 'RATIO', value: ratioText, align: 'right', spare: 2 },
  { heading: 'QUEUE', value: busiestQueue, spare: 3 },
  { heading: 'STATE', value: ({ socket }) => stateText(socket), spare: 4 },
  { heading: 'SOCKET (LOCAL ← PEER)', value: directedText, shrinks: { keeps: 'ends', least: 37 } },
  // An address, for skb --sock, is 18 characters.
  { heading: 'OWNER', value: holdersText, shrinks: { keeps: 'start', least: 19 } },
];

/** A socket's holders, address and queues, below its row. */
function detailsOf(entry: CensusEntry): string {
  const { socket, holders, mappedBy, queues, total } = entry;
  const owners = holders.length > 0 ? holders : mappedBy;
  const cgroups = new Set(owners.map(({ cgroup }) => cgroup ?? '(unreadable)'));
  const others = holders.slice(1).map(({ pid, comm, fd }) => `${pid} ${escapeText(comm)} fd ${fd}`);
  const more = others.length > MAX_NAMED ? ` and ${formatCount(others.length - MAX_NAMED)} more` : '';
  const busy = Object.entries(queues)
    .filter(([, { skbs, pinnedBytes }]) => skbs > 0 || pinnedBytes > 0)
    .map(([name, figures]) => `${name} ${formatSize(figures.pinnedBytes)}`);
  const parts = [
    `sock ${hex(socket.sock)}`,
    ...(socket.inode ? [`inode ${socket.inode}`] : []),
    `netns ${socket.netns ?? 'unknown'}`,
    stateText(socket),
    ...(busy.length > 0 ? [busy.join(', '), `${blocksText(entry)} blocks`] : []),
    ...(cgroups.size > 0 ? [`cgroup ${[...cgroups].map(escapeText).join(', ')}`] : []),
    ...(others.length > 0 ? [`also held by ${others.slice(0, MAX_NAMED).join(', ')}${more}`] : []),
    ...(owners.length === 0 ? [KEPT[entry.keeper]] : []),
    ...(entry.carriedBy.length > 0 ? [`carried by ${entry.carriedBy.map(hex).slice(0, MAX_NAMED).join(', ')}`] : []),
    ...(entry.acceptedFrom === null ? [] : [`listener ${hex(entry.acceptedFrom)}`]),
    ...(total.complete ? [] : ['incomplete: part of it could not be read']),
  ];
  return parts.join('; ');
}

const MAX_NAMED = 8;

const KEPT: Readonly<Record<Keeper, string>> = {
  listener: 'in its listener’s accept queue',
  message: 'in an unread message (SCM_RIGHTS)',
  io_uring: 'registered with an io_uring',
  connection: 'subflow of an MPTCP connection',
  nothing: 'orphan: no process has it open',
  kernel: 'kernel socket',
  unknown: 'owner unknown: no descriptor found',
};

/** `1 order-0, 187 order-3` */
function blocksText({ total }: CensusEntry): string {
  const orders = Object.entries(total.orders).filter(([, pages]) => pages > 0);
  const parts = orders.map(([order, pages]) => `${formatCount(pages)} order-${order === 'unknown' ? '?' : order}`);
  return parts.length === 0 ? '0' : parts.join(', ');
}

function ratioText({ total }: CensusEntry): string {
  const factor = amplificationText(total);
  return factor === undefined ? '' : `${factor}×`;
}

function busiestQueue({ queues }: CensusEntry): string {
  const busy = Object.entries(queues).filter(([, { skbs, pinnedBytes }]) => skbs > 0 || pinnedBytes > 0);
  busy.sort(([, a], [, b]) => b.pinnedBytes - a.pinnedBytes);
  const [name] = busy[0] ?? ['-'];
  return busy.length > 1 ? `${name} +${busy.length - 1}` : name;
}

/**
 * `121 starver fd 4`, and the number of other processes. A socket without a process is named by its address,
 * which `skb --sock` takes: first, since a narrow terminal cuts the end.
 */
export function holdersText(entry: CensusEntry): string {
  const { holders, connectionHolders } = entry;
  if (holders.length > 0) return namesOf(holders);
  if (connectionHolders.length > 0) return `(subflow of ${namesOf(connectionHolders)})`;
  const [mapper] = entry.mappedBy;
  if (mapper) return `${mapper.pid} ${escapeText(mapper.comm)} (mapped)`;
  return `${hex(entry.socket.sock)} ${keeperText(entry)}`;
}

function keeperText(entry: CensusEntry): string {
  const [ring] = entry.registeredWith;
  return ring && entry.keeper === 'io_uring'
    ? `(io_uring of ${ring.pid} ${escapeText(ring.comm)} fd ${ring.fd})`
    : KEEPERS[entry.keeper];
}

function namesOf(holders: readonly CensusHolder[]): string {
  const [first] = holders;
  if (!first) return '';
  const others = new Set(holders.map(({ pid }) => pid)).size - 1;
  const and = others > 0 ? ` and ${others} more` : '';
  return `${first.pid} ${escapeText(first.comm)} fd ${first.fd}${and}`;
}

const KEEPERS: Readonly<Record<Keeper, string>> = {
  listener: '(in accept queue)',
  message: '(sockets in an unread message)',
  io_uring: '(io_uring)',
  connection: '(MPTCP subflow)',
  nothing: '(orphan)',
  kernel: '(kernel)',
  unknown: '(owner unknown)',
};

function groupsTable(groups: readonly Group[], by: Grouping): Block {
  const process = by === 'process';
  const columns: Column<Group>[] = [
    {
      heading: by.toUpperCase(),
      value: ({ key }) => (process ? ownerText(key) : escapeText(key)),
      shrinks: { keeps: 'ends', least: 20 },
    },
    { heading: 'SOCKETS', value: ({ sockets }) => formatCount(sockets), align: 'right' },
    { heading: 'SKBS', value: ({ total }) => formatCount(total.skbs), align: 'right', spare: 2 },
    { heading: 'PAYLOAD', value: ({ total }) => formatSize(total.payloadBytes), align: 'right', spare: 1 },
    PINNED,
    process
      ? { heading: 'FREED IF KILLED', value: ({ freedIfKilled }) => freedCell(freedIfKilled), align: 'right' }
      : { heading: 'EXCLUSIVE', value: ({ exclusiveBytes }) => formatSize(exclusiveBytes), align: 'right' },
  ];
  const legend = process ? freedLegend(groups.map(({ freedIfKilled }) => freedIfKilled)) : undefined;
  return tableBlock(`Sockets by ${by}`, columns, groups, legend);
}

/** When the kernel frees an orphan: net/ipv4/tcp.c, tcp_timer.c (tcp_orphan_retries 0 means 8). */
const ORPHANS =
  'The kernel frees orphans by itself: once the peer acknowledges their data, or after tcp_orphan_retries retransmissions (minutes with the default of 8). In FIN_WAIT2 it frees them after tcp_fin_timeout.';

/** Rows that are smaller are listed with -v only. */
const SMALL_BYTES = 1024 * 1024;

/** Share of memory, and size, from which pages without an owner are mentioned without -v: whichever is less. */
const NOTABLE_SHARE = 0.02;
const NOTABLE_BYTES = 16 * 1024 * 1024;

function outsideQueuesBlocks({ outsideQueues }: CensusAnswer, verbose: boolean): Block[] {
  const isNotable = ({ bytes, complete, status }: OutsideRow) =>
    !complete || status === 'not-walked' || (bytes ?? 0) >= SMALL_BYTES;
  // Pages whose owner this answer does not search for: most are other kernel memory.
  const others = outsideQueues.find(({ code }) => code === 'other-pages');
  const apart = verbose || others?.status !== 'counted' ? undefined : others;
  const empty = outsideQueues.filter(({ bytes, objects }) => bytes === 0 && objects === 0);
  const rows = outsideQueues.filter((row) => row !== apart && (verbose ? !empty.includes(row) : isNotable(row)));
  const small = outsideQueues.filter((row) => row !== apart && !rows.includes(row) && !empty.includes(row));
  const below: string[] = [];
  if (small.length > 0 && rows.length > 0) below.push(smallText(small));
  if (verbose && empty.length > 0) below.push(`${empty.length} other places hold none.`);
  if (apart?.status === 'counted' && apart.code === 'other-pages') {
    const { left, present } = apart.figures;
    if (left >= NOTABLE_SHARE * present || (apart.bytes ?? 0) >= NOTABLE_BYTES)
      below.push(`${formatSize(apart.bytes ?? 0)} has no known owner: ${unownedPages(apart.figures)}`);
  }
  if (rows.length === 0) return below.length === 0 ? [] : [below.join('\n')];
  const items = rows.map((row) => ({
    size: row.bytes === null ? '?' : formatSize(row.bytes),
    words: escapeText(row.message),
  }));
  return [{ heading: 'Network memory outside socket queues:', items, below: below.join('\n') }];
}

function smallText(rows: readonly OutsideRow[]): string {
  const bytes = rows.reduce((sum, row) => sum + (row.bytes ?? 0), 0);
  const known = rows.every((row) => row.bytes !== null) ? '' : 'at least ';
  const places = `${rows.length} other ${inflect(rows.length, 'place')}`;
  return `Small amounts in ${places}, ${known}${formatSize(bytes)} in total (-v lists them).`;
}
