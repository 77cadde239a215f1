import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize } from '../../base/size.js';
import { grouped } from '../../base/util.js';
import { isProblem } from '../../skcheck/verdict.js';
import { columnsOf, wrap } from '../text/cut.js';
import { type Column, tableLines } from '../text/table.js';
import { adviceOf, doubtsOf, groupLegendOf, headlinesOf, legendOf, nextOf } from './headline.js';
import type { SkcheckGroups, SkcheckReport, SkcheckSocket } from './schema.js';
import { formatSpan, processWords, socketWords } from './words.js';

/** Highlights a word; without colours, returns it unchanged. */
export type Paint = (style: 'bold' | 'red' | 'dim', text: string) => string;

export interface TextOptions {
  readonly paint?: Paint;
  /** Columns of the terminal; null: no terminal, and nothing is cut or wrapped. */
  readonly width?: number | null;
  /** Print below each row: the reason, other holders, and where it runs. */
  readonly verbose?: boolean;
  /** Whether skcheck --exact can read kernel memory here (default true). */
  readonly kcore?: boolean;
  /** Maximum number of rows (default: all). A line below the table then counts the others. */
  readonly limit?: number;
  /** Keep the order of the report; by default, rows are ordered by bytes. */
  readonly keepsOrder?: boolean;
  /** The question was about one process. */
  readonly ofProcess?: boolean;
}

/** The text answer in parts, each a list of lines that fit, for a screen that shows only some of them. */
export interface SkcheckPage {
  /** The headline, and the basis of the answer. */
  readonly top: readonly string[];
  /** Heading of the table; null: nothing to list. */
  readonly heading: string | null;
  /** For each socket its row, and with `verbose` the reason below it. */
  readonly rows: readonly (readonly string[])[];
  /** Advice, and the meaning of the columns. */
  readonly end: readonly string[];
}

const INDENT = 6;

/** Formats the answer: a headline, one table, and advice. */
export function formatSkcheckText(report: SkcheckReport, options: TextOptions = {}): string {
  const { top, heading, rows, end } = skcheckPage(report, options);
  if (heading === null) return top.join('\n');
  return [...top, '', heading, ...rows.flat(), '', ...end].join('\n');
}

export function skcheckPage(
  report: SkcheckReport,
  {
    paint = (_, text) => text,
    width = null,
    verbose = false,
    kcore = true,
    limit = Number.POSITIVE_INFINITY,
    keepsOrder = false,
    ofProcess = false,
  }: TextOptions = {},
): SkcheckPage {
  const [headline, ...others] = headlinesOf(report);
  const fit = (lines: readonly string[]) => lines.flatMap((line) => wrap(line, width));
  const style = report.totals.stalled > 0 ? 'red' : 'bold';
  const top = [...fit([headline]).map((line) => paint(style, line)), ...fit(others)];
  if (report.sockets.length === 0) return { top, heading: null, rows: [], end: [] };
  if (report.groups) {
    const { heading, rows, note } = tableLines(groupColumns(report.groups), report.groups.rows.slice(0, limit), width);
    const end = fit([
      ...adviceOf(report),
      ...doubtsOf(report, { verbose, kcore }),
      ...restOf(report.groups.count, rows.length, GROUP_NAMES[report.groups.by]),
      groupLegendOf(heading),
      ...(note === undefined ? [] : [note]),
    ]).concat(nextOf(report, { verbose, ofProcess }));
    return { top, heading: paint('bold', heading), rows: rows.map((row) => [row]), end };
  }
  const { shown, read } = verbose ? { shown: report.sockets, read: [] } : withoutRead(report);
  if (shown.length === 0) return { top: [...top, ...fit(readWords(read))], heading: null, rows: [], end: [] };
  const alike: readonly Row[] = verbose ? shown : groupedRows(shown).map((row) => withoutLoose(row, report));
  const listed = (keepsOrder ? alike : byBytes(alike)).slice(0, limit);
  const { table, isNamed } = tableOf(listed, width, verbose);
  const indented = (words: string) =>
    wrap(words, width === null ? null : Math.max(1, width - INDENT)).map((line) => `${' '.repeat(INDENT)}${line}`);
  const rows = listed.map((socket, index) => [
    table.rows[index] ?? '',
    ...(isNamed ? [] : indented(directedWords(socket))),
    ...(verbose ? reasonLines(socket, width).flatMap(indented) : []).map((line) => paint('dim', line)),
  ]);
  const end = fit([
    ...adviceOf(report),
    ...doubtsOf(report, { verbose, kcore }),
    ...restOf(
      shown.length,
      listed.reduce((sum, { count = 1 }) => sum + count, 0),
      'sockets',
    ),
    ...readWords(read),
    ...legendOf({ ...report, sockets: listed }, { verbose, heading: table.heading }),
    ...(table.note === undefined ? [] : [table.note]),
  ]).concat(nextOf(report, { verbose, ofProcess }));
  return { top, heading: paint('bold', table.heading), rows, end };
}

/**
 * Formats each socket as one line. If the line is too long, the addresses move to a second line and are never
 * cut.
 */
function tableOf(sockets: readonly Row[], width: number | null, verbose: boolean) {
  const hasBounds = sockets.some((row) => boundsWords(row) !== '');
  const columns = verbose || hasBounds ? COLUMNS : COLUMNS.filter(({ heading }) => heading !== BOUNDS);
  const table = tableLines(columns, sockets, null);
  const isNamed = width === null || [table.heading, ...table.rows].every((line) => columnsOf(line) <= width);
  if (isNamed) return { table, isNamed };
  const others = columns.filter(({ heading }) => heading !== SOCKET);
  return { table: tableLines(others, sockets, width), isNamed };
}

/** Without an upper bound that exceeds what all sockets can have: -v prints it. */
function withoutLoose(row: Row, { totals }: SkcheckReport): Row {
  const isLoose = totals.pinned.atMost === null && (row.pinned.atMost ?? 0) > totals.pinned.high;
  return isLoose ? { ...row, pinned: { ...row.pinned, atMost: null } } : row;
}

const BOUNDS = 'BOUNDS';
const SOCKET = 'SOCKET (LOCAL ← PEER)';

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'PID', align: 'right', value: ({ pid }) => (pid === null ? '-' : String(pid)) },
  {
    heading: 'COMM',
    value: ({ comm }) => (comm === null ? '-' : escapeText(comm)),
    shrinks: { keeps: 'start', least: 6 },
  },
  { heading: 'FD', align: 'right', value: fdWords, spare: 2 },
  { heading: SOCKET, value: directedWords },
  { heading: 'VERDICT', value: verdictWords },
  {
    heading: 'QUEUED',
    align: 'right',
    value: ({ unreadBytes, unsentBytes }) => formatSize(unreadBytes || unsentBytes),
    spare: 1,
  },
  { heading: 'AGE', align: 'right', value: forWords, spare: 3 },
  { heading: 'PINNED', align: 'right', value: pinnedWords },
  { heading: BOUNDS, value: boundsWords, spare: 4 },
];

/** The addresses, and the process at the other end; the arrow of a sender points to its peer. */
function directedWords(socket: Row): string {
  const words = socketWords(socket);
  const directed = socket.stalled.verdict === 'stalled-sender' ? words.replace(' ← ', ' → ') : words;
  const [end] = known(socket.otherEnd ? [socket.otherEnd] : []);
  // The reason of a pair contains it.
  if (end === undefined || socket.stalled.verdict === 'deadlocked-pair') return `${directed}${countOf(socket)}`;
  const process = end.pid === socket.pid ? 'the same process' : processWords(end.pid, end.comm);
  const fd = socket.count === undefined ? `fd ${end.fds[0]} of ` : '';
  return `${directed}${countOf(socket)}, other end: ${fd}${process}`;
}

const countOf = ({ count }: Row): string => (count === undefined ? '' : ` × ${formatCount(count)}`);

/** A socket, or several of one process that differ only in a port and little in their bytes: then the figures are sums. */
type Row = SkcheckSocket & { readonly count?: number };

/** Fewer sockets are listed one by one. */
const MIN_ALIKE = 3;

/** Groups sockets that are alike, in the order of the first of each group. */
function groupedRows(sockets: readonly SkcheckSocket[]): Row[] {
  const uses = new Map<string, number>();
  for (const end of sockets.flatMap(({ local, peer }) => [local, peer])) uses.set(end, (uses.get(end) ?? 0) + 1);
  const endsOf = (socket: SkcheckSocket) => commonEnds(socket, uses);
  return [...grouped(sockets, (socket) => groupKey(socket, endsOf(socket))).values()].flatMap((group) =>
    group.length < MIN_ALIKE ? group : [{ ...sumOf(group), ...endsOf(group[0]!) }],
  );
}

type Ends = Pick<SkcheckSocket, 'local' | 'peer'>;

/** Equal for sockets with the same owner, verdict and one common end, whose bytes differ by less than a factor of two. */
function groupKey(socket: SkcheckSocket, { local, peer }: Ends): string {
  const { pid, via, protocol, type, stalled, unreadBytes, unsentBytes, pinned, counted, also, netns } = socket;
  const size = Math.round(Math.log2(Math.max(1, unreadBytes + unsentBytes)));
  const verdicts = [stalled.verdict, stalled.certainty, also.map(({ verdict }) => verdict)];
  const bytes = [size, pinned.atMost === null, counted?.complete];
  return JSON.stringify([pid, via, protocol, type, netns, local, peer, verdicts, bytes]);
}

/** The ends of a TCP socket: of the one that fewer sockets have, only the address. */
function commonEnds({ protocol, local, peer }: SkcheckSocket, uses: ReadonlyMap<string, number>): Ends {
  if (protocol !== 'TCP') return { local, peer };
  const address = (end: string) => end.slice(0, Math.max(0, end.lastIndexOf(':')));
  return (uses.get(local) ?? 0) > (uses.get(peer) ?? 0)
    ? { local, peer: address(peer) }
    : { local: address(local), peer };
}

function sumOf(group: readonly SkcheckSocket[]): Row {
  const first = group[0]!;
  const sum = (of: (socket: SkcheckSocket) => number) => group.reduce((all, socket) => all + of(socket), 0);
  const ages = group.flatMap(({ stalled }) => stalled.forMs ?? []);
  const pinned = {
    low: sum((socket) => socket.pinned.low),
    likely: sum((socket) => socket.pinned.likely),
    high: sum((socket) => socket.pinned.high),
    atMost: first.pinned.atMost === null ? null : sum((socket) => socket.pinned.atMost ?? 0),
  };
  const peers = sum(({ localPeer }) => localPeer?.pinned.likely ?? 0);
  return {
    ...first,
    count: group.length,
    otherEnd: group.every(({ otherEnd }) => otherEnd?.pid === first.otherEnd?.pid) ? first.otherEnd : null,
    localPeer: first.localPeer && { ...first.localPeer, pinned: { ...first.localPeer.pinned, likely: peers } },
    fds: [...new Set(group.flatMap(({ fds }) => fds))],
    unreadBytes: sum(({ unreadBytes }) => unreadBytes),
    unsentBytes: sum(({ unsentBytes }) => unsentBytes),
    stalled: { ...first.stalled, forMs: ages.length < group.length ? null : Math.min(...ages) },
    pinned,
    counted: first.counted && { ...first.counted, pinnedBytes: sum(({ counted }) => counted?.pinnedBytes ?? 0) },
  };
}

/** Problems first, then the rows that pin most: a reader with the send queue that waits for it, and before its sender. */
function byBytes(rows: readonly Row[]): Row[] {
  const isGood = ({ stalled }: Row) => Number(!isProblem(stalled.verdict));
  const isSender = ({ stalled }: Row) => Number(stalled.verdict === 'stalled-sender');
  const bytes = ({ pinned, counted, localPeer }: Row) =>
    (counted?.complete ? counted.pinnedBytes : pinned.likely) + (localPeer?.pinned.likely ?? 0);
  return rows.toSorted((a, b) => isGood(a) - isGood(b) || bytes(b) - bytes(a) || isSender(a) - isSender(b));
}

/** Sockets that are being read are not listed. */
function withoutRead({ sockets }: SkcheckReport) {
  const isRead = ({ stalled }: SkcheckSocket) => stalled.verdict === 'reading';
  return { shown: sockets.filter((socket) => !isRead(socket)), read: sockets.filter(isRead) };
}

function readWords(read: readonly SkcheckSocket[]): string[] {
  if (read.length === 0) return [];
  const pinned = formatSize(read.reduce((sum, socket) => sum + socket.pinned.likely, 0));
  return [
    read.length === 1
      ? `1 other socket with data is being read and pins about ${pinned} (-v lists it).`
      : `${formatCount(read.length)} other sockets with data are being read and pin about ${pinned} (-v lists them).`,
  ];
}

/** Counts the rows that are not shown. */
function restOf(all: number, shown: number, what: string): string[] {
  return shown === all
    ? []
    : [`${formatCount(shown)} of ${formatCount(all)} ${what} are listed: --top ${all} lists all.`];
}

type Group = SkcheckGroups['rows'][number];

const GROUP_NAMES = { process: 'processes', cgroup: 'cgroups', pod: 'pods' } as const;

function groupColumns({ by }: SkcheckGroups): readonly Column<Group>[] {
  return [GROUPED[by], ...GROUP_COLUMNS];
}

const GROUPED: Record<SkcheckGroups['by'], Column<Group>> = {
  process: {
    heading: 'PROCESS',
    value: ({ pid, comm }) => (pid === null ? '(owner unknown)' : processWords(pid, comm)),
    shrinks: { keeps: 'start', least: 16 },
  },
  cgroup: {
    heading: 'CGROUP',
    value: ({ cgroup }) => (cgroup === null ? '(unknown)' : escapeText(cgroup)),
    shrinks: { keeps: 'ends', least: 16 },
  },
  pod: { heading: 'POD', value: ({ pod }) => (pod === null ? '(not in a pod)' : escapeText(pod)) },
};

const GROUP_COLUMNS: readonly Column<Group>[] = [
  { heading: 'SOCKETS', align: 'right', value: ({ sockets }) => formatCount(sockets) },
  { heading: 'STALLED', align: 'right', value: ({ stalled }) => formatCount(stalled) },
  {
    heading: 'QUEUED',
    align: 'right',
    value: ({ unreadBytes, unsentBytes }) => formatSize(unreadBytes || unsentBytes),
    spare: 2,
  },
  { heading: 'AGE', align: 'right', value: ({ forMs }) => ageWords(forMs, '?'), spare: 4 },
  { heading: 'PINNED', align: 'right', value: ({ pinned }) => sizeOrNone(pinned.likely) },
  { heading: 'IN PEERS', align: 'right', value: ({ localPeers }) => sizeOrNone(localPeers.pinned.likely), spare: 3 },
  { heading: 'DROPS', align: 'right', value: ({ drops }) => formatCount(drops), spare: 6 },
  {
    heading: 'BOUNDS',
    value: ({ pinned }) => (pinned.high === 0 ? '' : formatRange(pinned.low, pinned.atMost)),
    spare: 5,
  },
];

function sizeOrNone(bytes: number): string {
  return bytes === 0 ? '-' : formatSize(bytes);
}

/**
 * Returns `3 +1` for descriptor 3 and one more, and `(3)` for the listener that has not accepted the socket.
 */
function fdWords({ fds, via }: SkcheckSocket): string {
  if (fds.length === 0) return '-';
  const words = `${Math.min(...fds)}${fds.length > 1 ? ` +${fds.length - 1}` : ''}`;
  return via === 'accept-queue' ? `(${words})` : words;
}

function verdictWords({ stalled: { verdict, certainty } }: SkcheckSocket): string {
  return `${verdict}${certainty === 'likely' ? '?' : ''}`;
}

function forWords({ stalled: { verdict, forMs } }: SkcheckSocket): string {
  return ageWords(forMs, verdict === 'reading' ? '-' : '?');
}

function ageWords(ms: number | null, unknown: string): string {
  return ms === null ? unknown : formatSpan(ms).replace(' min', 'm').replace(' ', '');
}

function pinnedWords({ pinned, counted }: SkcheckSocket): string {
  if (counted?.complete) return formatSize(counted.pinnedBytes);
  return pinned.high === 0 ? '-' : formatSize(pinned.likely);
}

function boundsWords({ pinned, counted }: SkcheckSocket): string {
  if (counted?.complete) return 'counted';
  return pinned.high === 0 ? '' : formatRange(pinned.low, pinned.atMost);
}

/**
 * Returns `0.84-2.9 MiB` with the unit once if both ends share it; `≥ 0.84 MiB`: the upper bound is unknown.
 */
export function formatRange(low: number, high: number | null): string {
  if (high === null) return `≥ ${formatSize(low)}`;
  const [from, to] = [formatSize(low), formatSize(high)];
  const unit = to.slice(to.indexOf(' '));
  return from.endsWith(unit) && unit.startsWith(' ') ? `${from.slice(0, -unit.length)}-${to}` : `${from}-${to}`;
}

/** Formats reasons; on a terminal each starts a new line. */
function reasonLines(socket: SkcheckSocket, width: number | null): string[] {
  const words = reasonOf(socket);
  return width === null ? [words] : words.split('; ');
}

/**
 * Returns the reason below a row: the evidence, other holders and waiting clients, and where it runs. All
 * text is escaped.
 */
function reasonOf(socket: SkcheckSocket): string {
  const { verdict, certainty, because } = socket.stalled;
  const word = `${certainty === 'likely' ? 'likely ' : ''}${verdict}: `;
  const also = holdersWords(
    socket.via === 'accept-queue' ? 'its listener is also held by' : 'also held by',
    socket.holders.slice(1),
  );
  const waiting = holdersWords('waiting clients:', known(socket.waiting));
  const place = placeWords(socket);
  const besides = socket.also.map((verdict) => `; also ${verdict.verdict}: ${verdict.because}`).join('');
  return `${word}${because}${waiting}${besides}${also}${place}`;
}

interface HolderWords {
  readonly pid: number;
  readonly comm: string | null;
  readonly fds: readonly number[];
}

/** Returns the ends whose process is known. */
function known(ends: SkcheckSocket['waiting']): HolderWords[] {
  return ends.flatMap(({ pid, comm, fds }) => (pid === null ? [] : [{ pid, comm, fds }]));
}

const MAX_NAMED = 5;

function holdersWords(lead: string, holders: readonly HolderWords[]): string {
  if (holders.length === 0) return '';
  const named = holders
    .slice(0, MAX_NAMED)
    .map(({ pid, comm, fds }) => `${pid}${comm === null ? '' : ` (${escapeText(comm)})`} fd ${fds[0]}`);
  const rest = holders.length - named.length;
  return `; ${lead} pid ${named.join(', ')}${rest > 0 ? ` and ${formatCount(rest)} more` : ''}`;
}

/** Returns where a socket's process runs (pod, container, namespace); empty if directly on this host. */
function placeWords({ pod, container, cgroup, netnsName, holders }: SkcheckSocket): string {
  const words: string[] = [];
  if (pod !== null) words.push(`pod ${escapeText(pod)}`);
  if (container !== null) words.push(`container ${escapeText(container.slice(0, 12))}`);
  if (netnsName !== null) words.push(`netns ${escapeText(netnsName)}`);
  const inner = holders[0]?.nsPids.at(-1);
  if (inner !== undefined && (holders[0]?.nsPids.length ?? 0) > 1) words.push(`pid ${inner} inside`);
  if (pod === null && container === null && cgroup !== null && cgroup !== '/')
    words.push(`cgroup ${escapeText(cgroup)}`);
  return words.length === 0 ? '' : `; in ${words.join(', ')}`;
}
