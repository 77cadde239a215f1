import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize } from '../../base/size.js';
import type { AcceptQueue } from '../../skcheck/finding.js';
import type { SkcheckReason } from './reasons.js';
import type { SkcheckSocket } from './schema.js';

/** Explains a verdict: observations, then the owner's activity. */
export function because(reasons: readonly SkcheckReason[], acceptQueue: AcceptQueue | null): string {
  return reasons.map((reason) => reasonWords(reason, acceptQueue)).join('; ');
}

/** Formats a reason from its code and figures; `acceptQueue` contains the names. */
function reasonWords({ code, figures }: SkcheckReason, acceptQueue: AcceptQueue | null): string {
  switch (code) {
    case 'consumed-nothing':
      return `read nothing in ${formatSpan(figures.watchedMs)}`;
    case 'consumed':
      return `read ${formatSize(figures.readBytes)} in ${formatSpan(figures.watchedMs)}`;
    case 'newest-data':
      return `all unread data is at least ${formatSpan(figures.ageMs)} old; one sample cannot show whether it is being read`;
    case 'came-since':
      return 'the queue was empty at the first sample';
    case 'did-not-run': {
      const unsure = figures.holdersComplete ? '' : ' (of the processes visible to this user)';
      return `${STOOD_STILL[figures.side]} in ${formatSpan(figures.watchedMs)}${unsure}`;
    }
    case 'partly-idle':
      return `the queue never shrank in ${formatSpan(figures.watchedMs)}; reader or writer was idle for ${formatSpan(figures.idleMs)} of it`;
    case 'queue-was-read':
      return 'its queue shrank';
    case 'both-ran':
      return figures.protocol === 'UNIX'
        ? 'unread data in both samples, but both sides ran in between; the kernel does not count reads of unix sockets'
        : `unread data in both samples, but its owner ran in between; the kernel does not count reads of ${figures.protocol === 'UDP' ? 'UDP' : figures.protocol.toLowerCase()} sockets`;
    case 'consumed-part': {
      const { readBytes, receivedBytes, watchedMs } = figures;
      return `read ${formatSize(readBytes)} of the data queued ${formatSpan(watchedMs)} ago, while ${formatSize(receivedBytes)} arrived (${rate(readBytes, watchedMs)} out, ${rate(receivedBytes, watchedMs)} in)`;
    }
    case 'acknowledged-nothing': {
      const { unsentBytes, windowClosed, expired, watchedMs } = figures;
      const how = windowClosed
        ? `the peer's window is closed: it is not reading (${count(expired, 'probe')})`
        : expired > 0
          ? `the peer does not answer (${count(expired, 'retransmission')})`
          : 'the peer does not answer';
      return `${formatSize(unsentBytes)} unsent or unacknowledged, nothing acknowledged in ${formatSpan(watchedMs)}; ${how}`;
    }
    case 'accepted-nothing':
      return `accepted no connection in ${formatSpan(figures.watchedMs)}; ${formatCount(figures.waiting)} pending`;
    case 'backlog-full':
      return `${formatCount(figures.waiting)} pending connections, limit ${formatCount(figures.limit)}${figures.refused > 0 ? `; ${formatCount(figures.refused)} refused between the samples` : ''}`;
    case 'dropped':
      return `${count(figures.packets, 'packet')} dropped in ${formatSpan(figures.watchedMs)}${queueWords(figures)}`;
    case 'also-dropped':
      return `${count(figures.packets, 'packet')} dropped between the samples`;
    case 'dropped-before':
      return figures.watchedMs === null
        ? `${count(figures.packets, 'packet')} dropped since it was opened, at an unknown time`
        : `${count(figures.packets, 'packet')} dropped before the first sample, none in the ${formatSpan(figures.watchedMs)} since`;
    case 'local-peer': {
      const { peerPid, peerComm, peerFd, unsentBytes, likelyPinnedBytes } = figures;
      const comm = peerComm === null ? '' : ` (${escapeText(peerComm)})`;
      const peer = peerPid === null ? '' : ` pid ${peerPid}${comm} fd ${peerFd}`;
      return `its local peer${peer} has ${formatSize(unsentBytes)} in its send queue, which pins about ${formatSize(likelyPinnedBytes)} more`;
    }
    case 'waits-for-each-other':
      return `both ends of the connection are on this host and neither read anything in ${formatSpan(figures.watchedMs)}; the other end is ${figures.peerPid === null ? 'of an unknown process' : `pid ${figures.peerPid}`} (inode ${figures.peerInode})`;
    case 'no-holder':
      return 'unread data in both samples; owner unknown';
    case 'no-tcp-info':
      return 'ss did not report how much it received';
    case 'raced':
      return 'its figures changed during the sample; run skcheck again';
    case 'first-sample-torn':
      return 'the first sample is incomplete and may have contained this socket';
    case 'one-sample':
      return 'one sample cannot judge a socket of this kind';
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
      return `its main thread is running${threadsWords(figures)}`;
    case 'owner-blocked':
      return `its main thread is in uninterruptible sleep (D)${whereWords(figures)}${threadsWords(figures)}`;
    case 'owner-sleeps':
      return `its main thread is sleeping${whereWords(figures)}${threadsWords(figures)}`;
    case 'owner-exited':
      return `its main thread has exited${threadsWords(figures)}`;
    case 'owner-in-state':
      return `its main thread is in state ${escapeText(figures.state)}`;
    case 'owner-state-unknown':
      return 'the state of its process is unknown';
    case 'in-accept-queue':
      return `pending in ${acceptQueueWords(figures, acceptQueue)}`;
    case 'unaccepted':
      return 'the listener has not accepted it yet';
    case 'orphan':
      return 'no process has it open';
    case 'owner-not-shown':
      return 'its owner is not visible to this user';
    case 'owner-not-found':
      return 'no visible process has it open';
    case 'descriptors-grew':
      return `its open descriptors grew in each of ${figures.samples} samples, from ${formatCount(figures.from)} to ${formatCount(figures.to)} in ${formatSpan(figures.watchedMs)}`;
    case 'exited':
      return 'it has exited, so its name is unknown';
  }
}

/**
 * Describes dropped packets. sk_drops counts packets that did not fit, but also those with a wrong checksum
 * or rejected by a filter.
 */
function queueWords(queue: { readonly queueBytes: number | null; readonly limitBytes: number | null }): string {
  const { queueBytes, limitBytes } = queue;
  if (queueBytes === null || limitBytes === null) return '';
  const sizes = `${formatSize(queueBytes)} of ${formatSize(limitBytes)}`;
  return isFull(queueBytes, limitBytes)
    ? `: its queue is full (${sizes}), the reader is too slow or stopped`
    : `; its queue has room now (${sizes}): it overflowed earlier, or packets were invalid`;
}

/**
 * Whether a queue is full. The kernel rejects packets that would exceed the limit, so that less room than the
 * largest datagram may be too little.
 */
function isFull(bytes: number, limit: number): boolean {
  return bytes >= limit - Math.min(LARGEST_DATAGRAM_CHARGE, limit / 4);
}

const LARGEST_DATAGRAM_CHARGE = 70_000;

const STOOD_STILL = {
  reader: 'no process that holds it ran',
  writer: 'no writer ran and the queue did not change',
  either: 'reader and writer never both ran',
} as const;

interface CpuFigures {
  readonly cpuUsedShare: number;
  readonly cpuWaitedShare: number;
}

function cpuWords({ cpuUsedShare, cpuWaitedShare }: CpuFigures): string {
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const turn = cpuWaitedShare < 0.05 ? '' : `, and waited for a CPU ${percent(cpuWaitedShare)} of the time`;
  return `it used ${percent(cpuUsedShare)} of a CPU${turn}`;
}

function threadsWords({ threads }: { readonly threads: number }): string {
  return threads > 1 ? ` (${formatCount(threads)} threads)` : '';
}

function whereWords({ waitsIn }: { readonly waitsIn: string | null }): string {
  return waitsIn === null ? '' : ` in ${waitsIn}`;
}

const MAX_LISTENERS = 3;

/** Returns `the accept queue of pid 25 (perl) fd 3`, escaped. */
function acceptQueueWords(
  counts: { readonly listeners: number; readonly holders: number },
  queue: AcceptQueue | null,
): string {
  const [listener] = queue?.listeners ?? [];
  const at = `${listener?.protocol.toLowerCase()} ${escapeText(listener?.local ?? '')}`;
  const named = (queue?.holders ?? []).slice(0, MAX_LISTENERS).map(({ pid, fds }) => {
    const comm = queue?.processes.find((candidate) => candidate.pid === pid)?.comm;
    return `pid ${pid}${comm === undefined ? '' : ` (${escapeText(comm)})`} fd ${fds[0]}`;
  });
  const more = counts.holders - named.length;
  const who = `${named.join(', ')}${more > 0 ? ` and ${formatCount(more)} more` : ''}`;
  if (counts.listeners > 1)
    return `the accept queue of one of the ${formatCount(counts.listeners)} listeners on ${at}, unknown which${who && ` (${who})`}`;
  return who === ''
    ? `the accept queue of ${at}, a listener with no known owner`
    : `the accept queue of ${who} (listening on ${at})`;
}

function rate(bytes: number, ms: number): string {
  return `${formatSize(Math.round((bytes * 1000) / Math.max(1, ms)))}/s`;
}

/** Formats a duration, rounded down: `0.8 s`, `12 s`, `41 min`, `3 h`, `2 d`. */
export function formatSpan(ms: number): string {
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Returns `pid 10 (node)`, escaped. */
export function processWords(pid: number, comm: string | null): string {
  return `pid ${pid}${comm === null ? '' : ` (${escapeText(comm)})`}`;
}

/**
 * Returns the local peer of a reader: `fd 20 of the same process`, `fd 3 of pid 12 (curl)`; empty if unknown.
 */
export function peerWords({ pid, localPeer }: Pick<SkcheckSocket, 'pid' | 'localPeer'>): string[] {
  if (localPeer?.pid == null) return [];
  const process = localPeer.pid === pid ? 'the same process' : processWords(localPeer.pid, localPeer.comm);
  return [`fd ${localPeer.fds[0]} of ${process}`];
}

/** Returns `tcp LOCAL ← PEER`, escaped; the reading end comes first. */
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
    address === '*' ? '' : escapeText(address.startsWith('@') ? address.replace(/@+$/, '') : address);
  const [local, peer] = [named(socket.local), named(socket.peer)];
  if (socket.protocol === 'UNIX') return `${kind} ${local || (peer ? `← ${peer}` : 'unnamed')}`;
  return /:\*$/.test(peer) ? `${kind} ${local}` : `${kind} ${local} ← ${peer}`;
}
