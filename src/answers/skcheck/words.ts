import type { AcceptQueue } from '../../skcheck/finding.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import type { SkcheckReason } from './reasons.js';

/** Why a verdict is what it is, in words: what was seen, then what the owner is doing. */
export function because(
  reasons: readonly SkcheckReason[],
  acceptQueue: AcceptQueue | null,
): string {
  return reasons.map((reason) => reasonWords(reason, acceptQueue)).join('; ');
}

/** A reason in words, all of them from its code and figures; `acceptQueue` has the names. */
function reasonWords({ code, figures }: SkcheckReason, acceptQueue: AcceptQueue | null): string {
  switch (code) {
    case 'consumed-nothing':
      return `read nothing in ${formatSpan(figures.watchedMs)}`;
    case 'consumed':
      return `read ${formatSize(figures.readBytes)} in ${formatSpan(figures.watchedMs)}`;
    case 'newest-data':
      return `all unread data is at least ${formatSpan(figures.ageMs)} old; one sample cannot tell whether it reads`;
    case 'came-since':
      return 'its queue was empty at the first sample';
    case 'nobody-ran': {
      const unsure = figures.holdersComplete ? '' : ' (of those that are shown to this user)';
      return `${STOOD_STILL[figures.side]} in ${formatSpan(figures.watchedMs)}${unsure}`;
    }
    case 'partly-still':
      return `the queue never got shorter in ${formatSpan(figures.watchedMs)}, reader or writer stood still for ${formatSpan(figures.stillMs)} of it`;
    case 'queue-was-read':
      return 'its queue got shorter';
    case 'both-ran':
      return figures.protocol === 'UNIX'
        ? 'data waited in both samples, but both sides ran in between and the kernel does not count what a unix socket reads'
        : `data waited in both samples, but its owner ran in between and the kernel does not count what a ${figures.protocol === 'UDP' ? 'UDP' : figures.protocol.toLowerCase()} socket reads`;
    case 'consumed-part': {
      const { readBytes, receivedBytes, watchedMs } = figures;
      return `read ${formatSize(readBytes)} of what waited ${formatSpan(watchedMs)} ago, while ${formatSize(receivedBytes)} came (${rate(readBytes, watchedMs)} out, ${rate(receivedBytes, watchedMs)} in)`;
    }
    case 'acknowledged-nothing': {
      const { unsentBytes, windowClosed, expired, watchedMs } = figures;
      const how = windowClosed
        ? `the peer's window is closed: it does not read (${times(expired, 'probe')})`
        : expired > 0
          ? `the peer does not answer (${times(expired, 'retransmission')})`
          : 'the peer does not answer';
      return `${formatSize(unsentBytes)} sent or to be sent, nothing acknowledged in ${formatSpan(watchedMs)}; ${how}`;
    }
    case 'accepted-nothing':
      return `accepted no connection in ${formatSpan(figures.watchedMs)}; ${formatCount(figures.waiting)} ${figures.waiting === 1 ? 'waits' : 'wait'}`;
    case 'backlog-full':
      return `${formatCount(figures.waiting)} connections wait to be accepted, the limit is ${formatCount(figures.limit)}${figures.refused > 0 ? `; ${formatCount(figures.refused)} refused meanwhile` : ''}`;
    case 'dropped':
      return `${times(figures.packets, 'packet')} dropped in ${formatSpan(figures.watchedMs)}${queueWords(figures)}`;
    case 'dropped-besides':
      return `${times(figures.packets, 'packet')} dropped meanwhile`;
    case 'dropped-before':
      return figures.watchedMs === null
        ? `${times(figures.packets, 'packet')} dropped since it was opened, at an unknown time`
        : `${times(figures.packets, 'packet')} dropped before the first sample, none in the ${formatSpan(figures.watchedMs)} since`;
    case 'local-peer': {
      const { peerPid, peerComm, peerFd, unsentBytes, likelyPinnedBytes } = figures;
      const comm = peerComm === null ? '' : ` (${escapeText(peerComm)})`;
      const peer = peerPid === null ? '' : ` pid ${peerPid}${comm} fd ${peerFd}`;
      return `its local peer${peer} has ${formatSize(unsentBytes)} in its send queue, which pins about ${formatSize(likelyPinnedBytes)} more`;
    }
    case 'waits-for-each-other':
      return `both ends of the connection are on this host and neither reads in ${formatSpan(figures.watchedMs)}: pid ${figures.peerPid ?? '?'} (inode ${figures.peerInode}) is the other one`;
    case 'no-holder':
      return 'data waited in both samples; who could have read it is not known';
    case 'no-tcp-info':
      return 'ss told nothing of what it has received';
    case 'raced':
      return 'its figures changed while they were taken; look again';
    case 'first-sample-torn':
      return 'lines of the first sample are lost, and it may have been in one of them';
    case 'one-sample':
      return 'one sample says nothing about a socket of this kind';
    case 'owner-spins':
      return `its process spins: ${cpuWords(figures)}`;
    case 'owner-busy':
      return `its process is busy: ${cpuWords(figures)}`;
    case 'owner-lacks-cpu':
      return `its process lacks CPU time: ${cpuWords(figures)}`;
    case 'owner-stopped':
      return 'stopped (SIGSTOP)';
    case 'owner-traced':
      return 'stopped by a debugger';
    case 'owner-frozen':
      return 'frozen by its cgroup';
    case 'owner-runs':
      return `its main thread runs${threadsWords(figures)}`;
    case 'owner-blocked':
      return `its main thread is blocked (D)${whereWords(figures)}${threadsWords(figures)}`;
    case 'owner-sleeps':
      return `its main thread sleeps${whereWords(figures)}${threadsWords(figures)}`;
    case 'owner-ended':
      return `its main thread has ended${threadsWords(figures)}`;
    case 'owner-in-state':
      return `its main thread is in state ${escapeText(figures.state)}`;
    case 'owner-untold':
      return 'what its process does is not known';
    case 'in-accept-queue':
      return `waits in ${acceptQueueWords(figures, acceptQueue)}`;
    case 'unaccepted':
      return 'the listener has not accepted it yet';
    case 'orphan':
      return 'no process has it open';
    case 'owner-not-shown':
      return 'its owner is not shown to this user';
    case 'owner-not-found':
      return 'no process that is visible here has it open';
    case 'descriptors-grew':
      return `its open descriptors grew in each of ${figures.samples} samples, from ${formatCount(figures.from)} to ${formatCount(figures.to)} in ${formatSpan(figures.watchedMs)}`;
    case 'ended-since':
      return 'it has ended since, so its name is not known';
  }
}

/** sk_drops counts packets that did not fit, and those of a wrong checksum or cut by a filter too. */
function queueWords(queue: {
  readonly queueBytes: number | null;
  readonly limitBytes: number | null;
}): string {
  const { queueBytes, limitBytes } = queue;
  if (queueBytes === null || limitBytes === null) return '';
  const sizes = `${formatSize(queueBytes)} of ${formatSize(limitBytes)}`;
  return isFull(queueBytes, limitBytes)
    ? `: its queue is full (${sizes}), the reader is too slow or stopped`
    : `; its queue has room now (${sizes}): it was full for a time, or packets were invalid`;
}

/** The kernel refuses what would exceed the limit: less room than the largest datagram may be none. */
function isFull(bytes: number, limit: number): boolean {
  return bytes >= limit - Math.min(LARGEST_DATAGRAM_CHARGE, limit / 4);
}

const LARGEST_DATAGRAM_CHARGE = 70_000;

const STOOD_STILL = {
  reader: 'no process that has it open ran',
  writer: 'nobody could have written, and the queue stayed as it was',
  either: 'reader or writer stood still all the time',
} as const;

function times(count: number, what: string): string {
  return `${formatCount(count)} ${what}${count === 1 ? '' : 's'}`;
}

interface CpuFigures {
  readonly cpuUsedShare: number;
  readonly cpuWaitedShare: number;
}

function cpuWords({ cpuUsedShare, cpuWaitedShare }: CpuFigures): string {
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const turn =
    cpuWaitedShare < 0.05
      ? ''
      : `, and waited for its turn for ${percent(cpuWaitedShare)} of the time`;
  return `it used ${percent(cpuUsedShare)} of a CPU meanwhile${turn}`;
}

function threadsWords({ threads }: { readonly threads: number }): string {
  return threads > 1 ? ` (${formatCount(threads)} threads)` : '';
}

function whereWords({ waitsIn }: { readonly waitsIn: string | null }): string {
  return waitsIn === null ? '' : ` in ${waitsIn}`;
}

const MOST_LISTENERS = 3;

/** `the accept queue of pid 25 (perl) fd 3`, made inert. */
function acceptQueueWords(
  counts: { readonly listeners: number; readonly holders: number },
  queue: AcceptQueue | null,
): string {
  const [listener] = queue?.listeners ?? [];
  const at = `${listener?.protocol.toLowerCase()} ${escapeText(listener?.local ?? '')}`;
  const named = (queue?.holders ?? []).slice(0, MOST_LISTENERS).map(({ pid, fds }) => {
    const comm = queue?.processes.find((each) => each.pid === pid)?.comm;
    return `pid ${pid}${comm === undefined ? '' : ` (${escapeText(comm)})`} fd ${fds[0]}`;
  });
  const more = counts.holders - named.length;
  const who = `${named.join(', ')}${more > 0 ? ` and ${formatCount(more)} more` : ''}`;
  if (counts.listeners > 1)
    return `the accept queue of one of the ${formatCount(counts.listeners)} listeners at ${at}, it is not told which${who && ` (${who})`}`;
  return who === ''
    ? `the accept queue of ${at}, a listener whose process is not known`
    : `the accept queue of ${who} (listens at ${at})`;
}

function rate(bytes: number, ms: number): string {
  return `${formatSize(Math.round((bytes * 1000) / Math.max(1, ms)))}/s`;
}

/** A time for people, never more than it is: `0.8 s`, `12 s`, `41 min`, `3 h`, `2 d`. */
export function formatSpan(ms: number): string {
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** `tcp LOCAL ← PEER`, made inert; the end that reads stands first. */
export function socketWords(socket: {
  readonly protocol: string;
  readonly type: string;
  readonly local: string;
  readonly peer: string;
}): string {
  const kind =
    socket.protocol !== 'UNIX'
      ? socket.protocol.toLowerCase()
      : ({ SOCK_DGRAM: 'unix dgram', SOCK_SEQPACKET: 'unix seqpacket' }[socket.type] ?? 'unix');
  const named = (address: string) =>
    address === '*'
      ? ''
      : escapeText(address.startsWith('@') ? address.replace(/@+$/, '') : address);
  const [local, peer] = [named(socket.local), named(socket.peer)];
  if (socket.protocol === 'UNIX') return `${kind} ${local || (peer ? `← ${peer}` : 'unnamed')}`;
  return /:\*$/.test(peer) ? `${kind} ${local}` : `${kind} ${local} ← ${peer}`;
}
