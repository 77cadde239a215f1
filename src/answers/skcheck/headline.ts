import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize, inflect, percentWords } from '../../base/size.js';
import { grouped } from '../../base/util.js';
import { STALE_CODES } from '../../skcheck/verdict.js';
import { VERDICT } from '../explain/generated.js';
import { comesBack } from './owners.js';
import type { SkcheckReason } from './reasons.js';
import type { SkcheckReport, SkcheckSocket } from './schema.js';
import { because, formatSpan, peerWords, processWords, socketWords } from './words.js';

/** Returns the lines above the table: the most important fact first, then the basis of the verdicts. */
export function headlinesOf(report: SkcheckReport): [string, ...string[]] {
  const { host, totals, processes, bounds } = report;
  const [first = '', ...more] = [
    ...unreadableOf(report, (bytes) => bytes > totals.pinned.likely),
    headlineOf(report),
    ...unreadableOf(report, (bytes) => bytes <= totals.pinned.likely),
  ];
  const lines: [string, ...string[]] = [first, ...more];
  if (host.source === 'capture') lines.push(captureWords(host));
  const others = othersOf(report);
  if (others !== '') lines.push(others);
  if (totals.mptcp > 0) lines.push(mptcpWords(totals));
  if (host.samples === 1)
    lines.push(
      `(one sample, judged by the age of the newest data; ${host.source === 'capture' ? 'skcheck --capture takes two, which is more reliable' : '--interval 2 is more reliable'})`,
    );
  if (bounds.census) lines.push(...boundsOf(bounds));
  for (const { pid, comm, because } of processes)
    lines.push(`Possible descriptor leak in ${processWords(pid, comm)}: ${because}`);
  return lines;
}

/**
 * Describes memory of sockets that no process can read: rings, orphans, and sockets without a known process.
 *
 * @param isListed by bytes
 */
function unreadableOf({ owners, bounds }: SkcheckReport, isListed: (bytes: number) => boolean): string[] {
  return owners.flatMap((owner) => {
    const isRing = owner.ringBytes >= MIN_RING_BYTES;
    if (owner.kind === 'process' && !isRing) return [];
    if (!isListed(isRing ? owner.ringBytes : owner.pinned.likely)) return [];
    if (owner.kind === 'orphans') return orphansWords(owner, bounds);
    const who = owner.pid === null ? 'an unknown process' : processWords(owner.pid, owner.comm);
    const rings = isRing
      ? [
          `Packet rings of ${who} occupy ${formatSize(owner.ringBytes)}. The kernel allocates a ring (PACKET_RX_RING, PACKET_TX_RING of an AF_PACKET socket) in full, and frees it when its socket is closed.`,
        ]
      : [];
    return owner.kind === 'unknown' &&
      (owner.inFlight !== null || owner.pinned.likely - owner.ringBytes >= MIN_UNKNOWN_BYTES)
      ? [...rings, unknownWords(owner)]
      : rings;
  });
}

const MIN_RING_BYTES = 2 ** 20;
/** Without root, every socket of another user has an unknown owner. */
const MIN_UNKNOWN_BYTES = 64 * 2 ** 20;

type Owner = SkcheckReport['owners'][number];
type Totals = SkcheckReport['totals'];

/** Says what orphans are, why they stay, and how to free them. */
function orphansWords({ sockets, pinned, largest }: Owner, { orphanRetries, maxOrphans }: SkcheckReport['bounds']) {
  const isOne = sockets === 1;
  const retries =
    orphanRetries === null
      ? 'tcp_orphan_retries retransmissions'
      : `${orphanRetries} retransmissions (tcp_orphan_retries${orphanRetries === 8 ? '; 0 means 8' : ''})`;
  const limit =
    maxOrphans === null ? '' : ` Above ${formatCount(maxOrphans)} orphans (tcp_max_orphans) it resets new ones.`;
  const host = largest.peer.slice(0, Math.max(0, largest.peer.lastIndexOf(':')));
  return [
    `${formatCount(sockets)} orphaned TCP ${isOne ? 'socket' : 'sockets'} (no process) ${pinnedWords(isOne ? 'pins' : 'pin', pinned)}: closed here with data that the peer has not acknowledged.`,
    `The kernel frees an orphan after ${retries} without an answer, which takes minutes, or when the peer answers.${limit} To free them now: ss -K state ${escapeText(largest.state.toLowerCase())} dst ${escapeText(host)} (as root; this resets the connections).`,
  ];
}

/** Sockets that no process has open, and the process in whose queue they may be. */
function unknownWords({ sockets, pinned, inFlight }: Owner): string {
  const isOne = sockets === 1;
  const held = `No process has ${isOne ? '1 socket' : `${formatCount(sockets)} sockets`} open that ${pinnedWords(isOne ? 'pins' : 'pin', pinned)}.`;
  if (inFlight === null)
    return `${held} ${isOne ? 'It is' : 'They are'} in a message (SCM_RIGHTS), of the kernel, or of a process that is not readable.`;
  const { pid, comm, fd, descriptors } = inFlight;
  return `${held} ${processWords(pid, comm)} has not received ${count(descriptors, 'passed descriptor')} (SCM_RIGHTS) from its unix socket fd ${fd}: these sockets are probably in flight there.`;
}

function headlineOf(report: SkcheckReport): string {
  const { totals, host, complete, sockets: listed } = report;
  const { stalled, sockets } = totals;
  const of = count(sockets, 'socket');
  if (stalled === 0) {
    const doubts = [
      ...(totals.undecided === 0 ? [] : [`${formatCount(totals.undecided)} undecided`]),
      ...(complete ? [] : ['the scan is incomplete']),
    ];
    return doubts.length === 0
      ? `No stalled socket among ${of}`
      : `No stalled socket found among ${of}: ${doubts.join(', ')}`;
  }
  const stale = listed.filter(isStale);
  const isUncertain = host.samples === 1 || (stale.length === stalled && isLikelyOnly(stale));
  const probably = isUncertain ? 'probably ' : '';
  const pinned = (verb: string) => sumWords(verb, report);
  const [largest] = stale.toSorted((a, b) => b.pinned.likely - a.pinned.likely || freedBytes(b) - freedBytes(a));
  const name = largest && descriptorWords(largest);
  if (stalled === 1)
    return name === undefined
      ? `1 of ${of} is ${probably}not being read. It ${pinned('pins')}.`
      : `1 of ${of} is ${probably}not being read: ${name}. It ${pinned('pins')}.`;
  const { worstOwner } = totals;
  const short = stale.filter(isShort).length;
  const brief =
    short === 0
      ? ''
      : ` ${short === stalled ? 'All' : `${formatCount(short)} of them`} have been unread for less than 10 s, which can be normal: confirm with skcheck --interval 15.`;
  if (worstOwner?.sockets === stalled)
    return `${formatCount(stalled)} sockets of ${processWords(worstOwner.pid, worstOwner.comm)} are ${probably}not being read (${of} checked).${brief} Together they ${pinned('pin')}.`;
  const likely = stale.filter((socket) => socket.stalled.certainty === 'likely').length;
  const unsure = probably === '' && likely > 0 ? ` (${formatCount(likely)} of them probably)` : '';
  const by = largest && worstOwner && worstOwner.sockets > 1 ? ownerWords(worstOwner, largest) : '';
  const example = by === '' && name !== undefined ? ` The largest is ${name}.` : '';
  return `${formatCount(stalled)} of ${of} are ${probably}not being read${unsure}${by}. Together they ${pinned('pin')}.${example}`;
}

/** Names the process whose sockets pin most together. @param largest the largest socket */
function ownerWords({ pid, comm, sockets }: NonNullable<Totals['worstOwner']>, largest: SkcheckSocket): string {
  const most = pid === largest.pid ? '' : ', which pin the largest part,';
  return `, ${formatCount(sockets)} of them${most} by ${processWords(pid, comm)}`;
}

function isLikelyOnly(stale: readonly SkcheckSocket[]): boolean {
  return stale.length > 0 && stale.every(({ stalled }) => stalled.certainty === 'likely');
}

function freedBytes({ pinned, localPeer }: SkcheckSocket): number {
  return pinned.likely + (localPeer?.pinned.likely ?? 0);
}

/** Returns `fd 21 of pid 6879 (node)`, or the addresses if no process is known. */
function descriptorWords(socket: SkcheckSocket): string {
  const { pid, comm } = socket;
  const what = placeWords(socket);
  if (pid === null || what === undefined) return `${socketWords(socket)} (owner unknown)`;
  return `${what} of ${processWords(pid, comm)}`;
}

/** Returns `fd 21`, or the listener that has not accepted the socket; undefined: no descriptor is known. */
function placeWords({ fds: [fd], via }: SkcheckSocket): string | undefined {
  if (fd === undefined) return undefined;
  return via === 'accept-queue' ? `a pending connection of listener fd ${fd}` : `fd ${fd}`;
}

/**
 * What local peers of stalled readers pin in addition, and who has most of them; then the share of memory of all of it.
 * Bounds of the peers are in their rows.
 */
function sumWords(verb: string, { totals, sockets, host: { memoryBytes } }: SkcheckReport): string {
  const { pinned, localPeers } = totals;
  const sum = pinned.likely + localPeers.pinned.likely;
  const most = isDoubtful(pinned) ? pinned.high + localPeers.pinned.likely : sum;
  const bound = isDoubtful(pinned) ? 'at most ' : '';
  // Of an amount without an upper bound a share could read as an all-clear.
  const isKnown = memoryBytes !== null && sum > 0 && (bound === '' || pinned.atMost !== null);
  const share = isKnown ? ` (${bound}${percentWords((100 * most) / memoryBytes)} of memory)` : '';
  if (localPeers.sockets === 0) return `${pinnedWords(verb, pinned)}${share.replace(/^ \((.*)\)$/, ', $1')}`;
  const names = sockets.flatMap((reader) => peerWords(reader));
  const name = names.length === 1 ? ` (${names[0]})` : '';
  const queues =
    localPeers.sockets === 1
      ? `the send queue of ${inflect(totals.stalled, 'its', 'their')} local peer${name}`
      : `the send queues of their ${formatCount(localPeers.sockets)} local peers`;
  const { words: owner, isItself } =
    localPeers.sockets === 1 ? { words: '', isItself: false } : mostOfPeers(sockets, localPeers.sockets);
  // A process that does not read what it writes to itself is the reader too.
  const waits = isItself ? '' : `, ${inflect(localPeers.sockets, 'which only waits', 'which only wait')}`;
  const [all, theirs] = [sum, localPeers.pinned.likely].map(formatSize);
  const part = all === theirs ? 'almost all' : `about ${theirs}`;
  // What the readers hold may be far more.
  const isOpen = isDoubtful(pinned) || pinned.atMost === null;
  const own = isOpen
    ? `; ${pinnedWords(inflect(totals.stalled, 'it alone pins', 'the readers alone pin'), pinned)}`
    : '';
  return `${verb} about ${all}${share}, ${part} of it in ${queues}${waits}${owner}${own}`;
}

/** Names the process whose send queues pin most, of the local peers of listed readers. */
function mostOfPeers(sockets: readonly SkcheckSocket[], count: number): { words: string; isItself: boolean } {
  const byInode = new Map(
    sockets.flatMap(({ localPeer }) => (localPeer?.pid == null ? [] : [[localPeer.inode, localPeer]])),
  );
  const owners = [...grouped(byInode.values(), ({ pid }) => pid).values()].map((own) => ({
    own,
    likely: own.reduce((sum, { pinned }) => sum + pinned.likely, 0),
  }));
  const [most] = owners.toSorted((a, b) => b.likely - a.likely);
  const first = most?.own[0];
  if (!most || first?.pid == null) return { words: '', isItself: false };
  const queues = most.own.length === 1 ? 'one socket' : `${formatCount(most.own.length)} sockets`;
  const process = processWords(first.pid, first.comm);
  if (most.own.length === count) {
    const isItself = sockets.filter(isStale).every(({ pid }) => pid === first.pid);
    const words = isItself
      ? ', all of the same process, which does not read what it writes to itself'
      : `, all in ${process}`;
    return { words, isItself };
  }
  const words = `; about ${formatSize(most.likely)} is in ${queues} of ${process}`;
  return { words, isItself: false };
}

/**
 * Returns `pin about 129 KiB (127 KiB to 4.69 MiB)`; without an upper bound `(at least 127 KiB)`. If the bound is
 * far above: `pin about 875 KiB (at most 249 MiB)`.
 */
function pinnedWords(verb: string, pinned: SkcheckReport['totals']['pinned']): string {
  const { low, likely, atMost } = pinned;
  const [from, about] = [low, likely].map(formatSize);
  if (isDoubtful(pinned) && atMost !== null) return `${verb} about ${about} (at most ${formatSize(atMost)})`;
  if (atMost === low) return `${verb} ${about}`;
  return `${verb} about ${about} (${atMost === null ? `at least ${from}` : `${from} to ${formatSize(atMost)}`})`;
}

/** Returns the host and time of a capture. */
function captureWords({ name, takenAt, takenAtKnown }: SkcheckReport['host']): string {
  const where = name === '' ? 'an unnamed host' : escapeText(name);
  const when = takenAtKnown ? `${takenAt.slice(0, 10)} ${takenAt.slice(11, 19)} UTC` : 'at an unknown time';
  return `Captured on ${where}, ${when}`;
}

function mptcpWords({ mptcp, countedBy }: SkcheckReport['totals']): string {
  const all = count(mptcp, 'is MPTCP', 'are MPTCP');
  const counted = countedBy === 'descriptor' ? 'with --pid each descriptor counts once' : 'both are counted';
  return `(${all}: ss also lists their TCP subflows; ${counted})`;
}

/** With --census: returns the maximum that all sockets together can pin. */
function boundsOf({ census, theoreticalWorstBytes }: SkcheckReport['bounds']): string[] {
  if (!census) return [];
  const orders = Object.entries(census.orders).map(([order, count]) => `${formatCount(count)} of order ${order}`);
  const words = [
    `Census: ${formatSize(census.bytes)} in pages that can hold packets (${orders.join(', ') || 'none'}), counted in ${formatSpan(census.durationMs)}.`,
  ];
  if (theoreticalWorstBytes !== null)
    words.push(
      `Theoretical worst case, not an estimate: ${formatSize(theoreticalWorstBytes)} (each skb in use with 18 pages of 32 KiB).`,
    );
  return words;
}

/** Counts the verdicts of other sockets; senders may include peers of stalled readers. */
function othersOf({ totals: { verdicts, localPeers, listeners }, sockets }: SkcheckReport): string {
  const senders = localPeers.stalledSenders;
  const included = (count: number) =>
    `${senders === count ? '' : 'including '}${senders < localPeers.sockets ? `${formatCount(senders)} of ` : ''}the ${localPeers.sockets === 1 ? 'local peer' : `${formatCount(localPeers.sockets)} local peers`} above`;
  const counts = OTHERS.flatMap((code) => {
    const count = verdicts[code] ?? 0;
    const words =
      code === 'stalled-sender' && senders > 0
        ? ` (${included(count)})`
        : code === 'never-accepting' && listeners > 0
          ? ` (unaccepted connections${listeners === count ? '' : ` of ${formatCount(listeners)} of them`} are listed below)`
          : '';
    return count === 0 ? [] : [`${formatCount(count)} ${code}${words}`];
  });
  const isListed = sockets.some(({ stalled }) => OTHERS.some((code) => code === stalled.verdict));
  const where = isListed ? '' : ' (not listed; --verdict CODE lists them)';
  return counts.length === 0 ? '' : `Other verdicts${where}: ${counts.join(', ')}`;
}

const OTHERS = ['stalled-sender', 'never-accepting', 'backlog-full', 'udp-dropping', 'slow-reader'] as const;

/** Returns the advice: which process has to read, and how much memory that frees. */
export function adviceOf({ sockets, totals, host, warnings }: SkcheckReport): string[] {
  const owner = totals.worstOwner;
  if (!owner || !sockets.some(isStale)) return [];
  const { pid, unaccepted } = owner;
  const process = processWords(pid, owner.comm);
  const whole = owner.sockets === totals.stalled;
  const [part, sum] = [comesBack(owner), totals.pinned.likely + totals.localPeers.pinned.likely].map(formatSize);
  const share = whole
    ? 'The memory'
    : part === sum
      ? `Almost all of it (${part})`
      : `About ${part} of these ${sum}${totals.localPeers.sockets === 0 ? '' : ' (sockets and send queues of local peers)'}`;
  const own = sockets.filter((socket) => socket.pid === pid && isStale(socket));
  const read = own.filter(({ via }) => via === 'descriptor');
  const all = own.length === owner.sockets;
  const fds = all ? fdWords(read.flatMap((socket) => socket.fds)) : '';
  const listener = fdWords(own.flatMap((socket) => (socket.via === 'accept-queue' ? socket.fds : [])));
  const how =
    unaccepted === 0
      ? `reads ${fds || 'its sockets'}`
      : unaccepted === owner.sockets
        ? `accepts and reads its pending connections${listener && ` (listener ${listener})`}`
        : `reads ${fds || 'its sockets'}, and accepts and reads its pending connections`;
  const isMuch = owner.likelyPinnedBytes >= MUCH_BYTES;
  // Even the bound is small.
  const isLittle = totals.pinned.atMost !== null && !isDoubtful(totals.pinned) && isSmall({ totals, host });
  const little = ' It is little: no reason to end the process.';
  const isFull = warnings.some(({ code }) => code === 'tcp-memory' || code === 'udp-memory');
  const lines = owner.stopped
    ? [
        `${process} is stopped: kill -CONT ${pid} resumes it.${whole ? '' : ` ${share} is in its sockets${owner.localPeers === 0 ? '' : ' and those of local peers'}.`}`,
      ]
    : [
        ...(own.every(isShort) || isFull ? [] : notShortWords(host, process)),
        `${share} is freed when ${process} ${how}.${!isMuch && isLittle ? little : killWords(own)}`,
      ];
  // Of all of them the first sentence says it.
  if (owner.localPeers > 0 && !whole) {
    const sizes = [owner.likelyPinnedBytes, owner.likelyLocalPeersBytes].map(formatSize);
    lines.push(
      `That is about ${sizes[0]} in its ${inflect(owner.sockets, 'socket')} and about ${sizes[1]} in the send ${owner.localPeers === 1 ? 'queue of its local peer' : `queues of ${formatCount(owner.localPeers)} local peers`}.`,
    );
  }
  const state = ownerState(own);
  if (state !== '' && !owner.stopped) lines.push(`${state}.`);
  if (owner.shared > 0)
    lines.push(
      `Other processes hold ${owner.sockets === 1 ? 'it' : `${formatCount(owner.shared)} of its ${formatCount(owner.sockets)} sockets`} too: killing pid ${pid} alone does not free that memory.`,
    );
  return lines;
}

/** With so much of memory available, nothing is urgent, whatever swap is. */
const MUCH_LEFT = 0.25;

/** Where memory is not short, a kill is not the first thing to do. */
function notShortWords({ memoryBytes, memoryAvailableBytes, source }: SkcheckReport['host'], process: string) {
  if (memoryBytes === null || memoryAvailableBytes === null) return [];
  if (memoryAvailableBytes < MUCH_LEFT * memoryBytes || memoryAvailableBytes > memoryBytes) return [];
  const [had, there] = source === 'capture' ? ['had', ' on that machine'] : ['has', ''];
  const amount = `${formatSize(memoryAvailableBytes)} of ${formatSize(memoryBytes)} (MemTotal)`;
  return [
    `The machine ${had} ${amount} available: first ask the owner of ${process} why it does not read. Whether its cgroup is near its limit is not checked here: run kdump-mem triage${there}.`,
  ];
}

/** What the process does, where all its sockets say the same; empty: unknown. */
function ownerState(sockets: readonly SkcheckSocket[]): string {
  const reasonsOf = ({ stalled }: SkcheckSocket) => stalled.reasons as readonly SkcheckReason[];
  const states = new Set(
    sockets.map((socket) =>
      because(
        reasonsOf(socket).filter(({ code }) => code.startsWith('owner-')),
        null,
      ),
    ),
  );
  const [words = ''] = states;
  return states.size === 1 ? words.charAt(0).toUpperCase() + words.slice(1) : '';
}

/** What a kill loses; of a stall that may be none, not before it is confirmed. */
function killWords(own: readonly SkcheckSocket[]): string {
  const resets = own.some(({ protocol }) => protocol !== 'UNIX' && protocol !== 'UDP');
  const when = own.every(isShort) ? 'If it stays unread for longer, killing' : 'Killing';
  const unsent = own.some(({ localPeer }) => (localPeer?.unsentBytes ?? 0) > 0)
    ? ' and what the local peers could not send'
    : '';
  return ` ${when} the process frees it too, but loses the unread data${unsent}${resets ? ', and resets the TCP connections' : ''}.`;
}

const MAX_NAMED = 4;

/** Returns `16 descriptors (fd 4, 6, 9, 12 and others)`; empty for none. */
function fdWords(fds: readonly number[]): string {
  const all = [...new Set(fds)].toSorted((a, b) => a - b);
  if (all.length === 0) return '';
  const named = `fd ${all.slice(0, MAX_NAMED).join(', ')}`;
  const count = `${formatCount(all.length)} descriptors`;
  return all.length > MAX_NAMED ? `${count} (${named} and others)` : named;
}

/** Minimum size from which a sentence mentions that the likely figure may be far too low. */
const MUCH_BYTES = 32 * 2 ** 20;
const MUCH_TIMES = 10;

/**
 * Warns that the pinned memory may be much larger than the likely figure. A packet charged with 1.5 KiB may
 * pin a 32 KiB block (docs/estimates.md), which is not visible from user space; the only bound is the memory
 * outside all counters.
 */
export function doubtsOf(
  { totals, bounds, host }: SkcheckReport,
  { verbose, kcore }: { readonly verbose: boolean; readonly kcore: boolean },
): string[] {
  if (totals.stalled === 0 || !isDoubtful(totals.pinned)) return [];
  const counts =
    host.source === 'capture'
      ? 'skcheck --exact on that machine counts what is there now (as root, with /proc/kcore).'
      : kcore
        ? 'skcheck --exact counts the pinned pages (as root).'
        : 'skcheck --exact would count it, but cannot run here: this machine has no /proc/kcore.';
  const bound =
    verbose && bounds.unplacedBytes !== null
      ? ` The upper bound is the ${formatSize(bounds.unplacedBytes)} of this machine that no kernel counter includes, per-CPU free lists among them.`
      : '';
  return [
    `The sockets may pin more than PINNED, because a packet can occupy a larger block of memory than the kernel counts.${bound} ${counts}`,
  ];
}

/** Share of memory below which other memory is the larger question. */
const SMALL_SHARE = 0.05;

const isSmall = ({ totals: { pinned, localPeers }, host: { memoryBytes } }: Pick<SkcheckReport, 'totals' | 'host'>) =>
  memoryBytes !== null && pinned.high + localPeers.pinned.likely < SMALL_SHARE * memoryBytes;

/**
 * The command that decides: what uses the rest of memory, or why the process does not read.
 *
 * @param ofProcess the question was about one process: triage may have led here
 */
export function nextOf(
  { host, totals, sockets }: SkcheckReport,
  { verbose, ofProcess }: { readonly verbose: boolean; readonly ofProcess: boolean },
): string[] {
  const { stalled, worstOwner } = totals;
  if (host.source === 'capture' || stalled === 0) return [];
  // The first line asks for it.
  const ages = sockets.filter(isStale).flatMap(({ stalled: { forMs } }) => forMs ?? []);
  const of = ofProcess && worstOwner ? ` --pid ${worstOwner.pid}` : '';
  const isAsked = stalled > 1 && worstOwner?.sockets === stalled;
  if (isAsked && ages.length > 0 && Math.max(...ages) < SHORT_MS) return ['', `Next: skcheck --interval 15${of}`];
  if (isSmall({ totals, host }) && !ofProcess) return ['', 'Next: kdump-mem triage'];
  return verbose || !worstOwner ? [] : ['', `Next: skcheck -v --pid ${worstOwner.pid}`];
}

function isDoubtful({ likely, high }: SkcheckReport['totals']['pinned']): boolean {
  return high >= MUCH_BYTES && high >= MUCH_TIMES * likely;
}

/** Returns the meaning of the columns that `heading` shows. */
export function legendOf(
  { sockets }: SkcheckReport,
  { verbose, heading }: { readonly verbose: boolean; readonly heading: string },
): string[] {
  const shown = heading.split(/ +/);
  const hasSenders = sockets.some(({ stalled }) => stalled.verdict === 'stalled-sender');
  const words = meanings(legend(hasSenders), heading);
  // Its name says what a stalled reader is.
  const codes = new Set(sockets.map(({ stalled }) => stalled.verdict).filter((code) => code !== 'stalled-reader'));
  for (const code of codes) words.push(`${code}: ${VERDICT[code].means}`);
  const hasUpper = sockets.some(
    ({ protocol, counted, pinned }) => protocol !== 'UNIX' && !counted?.complete && pinned.atMost !== null,
  );
  if (shown.includes('BOUNDS') && hasUpper)
    words.push('Without another limit, the upper bound assumes a block of 32 KiB for each fragment of a packet.');
  if (!shown.includes('SOCKET')) words.push('Addresses: local ← peer.');
  if (sockets.some(({ stalled }) => stalled.certainty === 'likely'))
    words.push('A verdict with ? is likely, not proven.');
  if (sockets.some(({ via, fds }) => via === 'accept-queue' && fds.length > 0))
    words.push('FD in parentheses: the listener that has not accepted the connection.');
  const hasMany = sockets.some(({ via, fds }) => via !== 'accept-queue' && fds.length > 1);
  if (shown.includes('FD') && hasMany) words.push('+N in FD: and N more descriptors.');
  if (!verbose) words.push('-v shows the reasons.');
  return [words.join(' ')];
}

/** Maximum duration of a stall that also occurs in busy programs. */
const SHORT_MS = 10_000;

const isShort = ({ stalled: { forMs } }: SkcheckSocket): boolean => forMs !== null && forMs < SHORT_MS;

/** Returns the meaning of the columns of groups. */
export function groupLegendOf(heading: string): string {
  return meanings([...GROUP_LEGEND, ...legend(true)], heading).join(' ');
}

/** Meanings of columns, of those that a heading shows. */
function meanings(legend: readonly (readonly [string, string])[], heading: string): string[] {
  return legend.flatMap(([column, meaning]) =>
    heading.split(/ {2,}/).includes(column) ? [`${column}: ${meaning}`] : [],
  );
}

const GROUP_LEGEND = [
  ['IN PEERS', 'likely memory in the send queues of local peers, not in PINNED of this row.'],
  ['DROPS', 'packets between the samples.'],
] as const;

/** @param hasSenders whether a row is a stalled sender */
const legend = (hasSenders: boolean): (readonly [string, string])[] => [
  ['AGE', `stalled for at least this long (${hasSenders ? 'stalled-sender: while skcheck ran; ' : ''}?: unknown).`],
  ['QUEUED', `unread data (${hasSenders ? 'stalled-sender: unacknowledged data; ' : ''}UDP: with overhead).`],
  ['PINNED', 'kernel memory that the socket keeps in use, estimated.'],
  ['BOUNDS', 'the true figure is between these, except for data of sendfile and zerocopy (≥: at least).'],
];

function isStale({ stalled }: SkcheckSocket): boolean {
  return STALE_CODES.includes(stalled.verdict);
}
