import type { AcceptQueues, SocketRecord } from '../host/socket.js';
import type { Evidence, Verdict } from './verdict.js';

/** One socket at one or two points in time (milliseconds on one clock). */
export interface Track {
  readonly first: Moment | null;
  /** Null if only one sample was taken. */
  readonly last: Moment | null;
  /** The first sample lost lines: if it lacks this socket, only the last one is judged. */
  readonly firstIsTorn?: boolean;
  /** UDP and unix: the windows between the samples. */
  readonly windows: readonly TrackWindow[];
}

export interface Moment {
  readonly startedMs: number;
  readonly endedMs: number;
  readonly socket: SocketRecord;
}

export interface TrackWindow {
  readonly startMs: number;
  readonly endMs: number;
  readonly recvQ: { readonly from: number; readonly to: number };
  /** Whether no known holder ran in the window; null: no holder is known. */
  readonly readersStill: boolean | null;
  /** The same for potential writers of connected unix streams; null for others. */
  readonly writersStill: boolean | null;
  /** Whether no process with unreadable descriptors ran: such a process could hold the socket. */
  readonly hiddenStill: boolean;
}

/** With one sample, data younger than this counts as normal. */
export const ONE_SAMPLE_AGE_MS = 1000;

/** Data unread for less than this counts as normal, even with two samples. */
const MIN_SLOW_MS = 900;

/**
 * Unread payload in bytes. TCP's Recv-Q is rcv_nxt − copied_seq, and a FIN takes a sequence number
 * (tcp_diag_get_info, tcp_fin): in the states after the peer's FIN one of it is not data. For UDP, raw,
 * packet, netlink, MPTCP and SCTP it is truesize, for a unix datagram socket only the length of the
 * next datagram.
 */
export function unreadBytes(socket: SocketRecord): number {
  if (socket.state === 'LISTEN') return 0;
  return socket.protocol === 'TCP' && AFTER_FIN.has(socket.state) ? Math.max(0, socket.recvQ - 1) : socket.recvQ;
}

const AFTER_FIN = new Set(['CLOSE-WAIT', 'LAST-ACK', 'CLOSING', 'TIME-WAIT']);

/**
 * Judges one socket with unread data at its newest moment. Pure.
 *
 * TCP, two samples: the application has consumed `bytes_received − Recv-Q` (= copied_seq less a
 * constant; if the kernel does not count bytes, `−Recv-Q` if none arrived). An unchanged value proves
 * that it read nothing in between, so data unread at the first sample still is: for at least the time
 * since the newest of it arrived, `lastrcv` before the first sample.
 *
 * TCP, one sample: Recv-Q > 0 and `lastrcv` N ms prove that all unread data has waited for N ms or
 * more. They do not prove that the application has stopped reading: it may be processing older data.
 *
 * UDP and unix have no byte counter. The proof is that no holder ran on any CPU (so no reader), or that
 * no potential writer ran while the queue's length stayed the same (so no reader either). Holders with
 * unreadable descriptors could have read: then the result is only likely.
 */
export function judge(track: Track): Verdict {
  const { first, last } = track;
  if (!last) return first ? judgeOneSample(first.socket) : undecided({ kind: 'one-sample' });
  if (!first && track.firstIsTorn)
    return last.socket.protocol === 'TCP' ? judgeOneSample(last.socket) : undecided({ kind: 'first-sample-torn' });
  if (!first || unreadBytes(first.socket) === 0) {
    const watchedMs = first ? Math.max(0, last.endedMs - first.startedMs) : 0;
    return reading({ kind: 'came-since', watchedMs });
  }
  // If the received bytes are unknown (/proc/net only, old kernels), a TCP socket is judged like the others.
  const counted = receivedBetween(first, last) !== null;
  return last.socket.protocol === 'TCP' && (counted || track.windows.length === 0)
    ? judgeTcp(first, last)
    : judgeByActivity(track, last.socket);
}

function judgeOneSample(socket: SocketRecord): Verdict {
  if (socket.protocol !== 'TCP') return undecided({ kind: 'one-sample' });
  if (!socket.tcp) return undecided({ kind: 'no-tcp-info' });
  const ageMs = socket.tcp.lastReceivedMs;
  const evidence: Evidence = { kind: 'newest-data', ageMs };
  return ageMs >= ONE_SAMPLE_AGE_MS
    ? { verdict: 'stalled-reader', certainty: 'likely', waitedMs: ageMs, evidence }
    : { verdict: 'undecided', certainty: null, waitedMs: ageMs, evidence };
}

function judgeTcp(first: Moment, last: Moment): Verdict {
  const received = receivedBetween(first, last);
  if (received === null) return undecided({ kind: 'no-tcp-info' });
  const bytes = received - last.socket.recvQ + first.socket.recvQ;
  const watchedMs = Math.max(0, last.startedMs - first.endedMs);
  if (bytes > 0) {
    // Data is read in order: what remains of the first sample's data has waited all the time.
    if (bytes < unreadBytes(first.socket) && watchedMs >= MIN_SLOW_MS)
      return {
        verdict: 'slow-reader',
        certainty: 'proved',
        waitedMs: watchedMs,
        evidence: { kind: 'consumed-part', bytes, received: Math.max(0, received), watchedMs },
      };
    return reading({ kind: 'consumed', bytes, watchedMs });
  }
  // inet_diag reads Recv-Q before it locks the socket for tcp_info: data that arrives in between makes
  // one sample's difference too large.
  if (bytes < 0) return undecided({ kind: 'raced' });
  return {
    verdict: 'stalled-reader',
    certainty: 'proved',
    waitedMs: (first.socket.tcp?.lastReceivedMs ?? 0) + watchedMs,
    evidence: { kind: 'consumed-nothing', watchedMs },
  };
}

/**
 * Bytes received between two samples, by the kernel's counter; without one, 0 if the newest data is
 * older than the first sample. Null if unknown.
 */
function receivedBetween(first: Moment, last: Moment): number | null {
  const before = first.socket.tcp;
  const after = last.socket.tcp;
  if (!before || !after) return null;
  if (before.bytesReceived !== null && after.bytesReceived !== null) return after.bytesReceived - before.bytesReceived;
  return after.lastReceivedMs > last.endedMs - first.startedMs ? 0 : null;
}

function judgeByActivity(track: Track, socket: SocketRecord): Verdict {
  const { windows } = track;
  const holdersComplete = windows.every((window) => window.hiddenStill);
  const from = windows[0];
  const to = windows.at(-1);
  if (!from || !to) return undecided({ kind: 'one-sample' });
  // Recv-Q of a unix datagram socket is the first datagram's length: a changed value is that of the next one.
  const firstOnly = socket.protocol === 'UNIX' && socket.type === 'SOCK_DGRAM';
  if (windows.some(({ recvQ: q }) => q.to < q.from || (firstOnly && q.from > 0 && q.to > q.from)))
    return reading({ kind: 'queue-was-read' });
  const watchedMs = Math.max(0, to.endMs - from.startMs);
  const still = windows.filter((window) => readersDidNotRun(window) || writersDidNotRun(window));
  if (still.length === 0)
    return undecided(
      windows.every((window) => window.readersStill === null && window.writersStill === null)
        ? { kind: 'no-holder' }
        : { kind: 'both-ran', watchedMs },
    );
  const lengths = still.map((window) => Math.max(0, window.endMs - window.startMs));
  const complete = still.length === windows.length;
  return {
    verdict: 'stalled-reader',
    certainty: complete && holdersComplete ? 'proved' : 'likely',
    waitedMs: !holdersComplete ? null : complete ? watchedMs : Math.max(...lengths),
    evidence: complete
      ? {
          kind: 'did-not-run',
          side: windows.every(readersDidNotRun) ? 'reader' : windows.every(writersDidNotRun) ? 'writer' : 'either',
          watchedMs,
          holdersComplete,
        }
      : { kind: 'partly-idle', idleMs: lengths.reduce((a, b) => a + b, 0), watchedMs },
  };
}

function readersDidNotRun({ recvQ, readersStill }: TrackWindow): boolean {
  return recvQ.from > 0 && readersStill === true;
}

function writersDidNotRun({ recvQ, writersStill }: TrackWindow): boolean {
  return recvQ.from > 0 && recvQ.to === recvQ.from && writersStill === true;
}

function reading(evidence: Evidence): Verdict {
  return { verdict: 'reading', certainty: null, waitedMs: null, evidence };
}

function undecided(evidence: Evidence): Verdict {
  return { verdict: 'undecided', certainty: null, waitedMs: null, evidence };
}

/** States in which sent data waits for the peer (SYN-SENT's one byte is not data). */
const SENDING = new Set(['ESTABLISHED', 'CLOSE-WAIT', 'FIN-WAIT-1', 'LAST-ACK', 'CLOSING']);

/**
 * Judges a TCP socket whose peer acknowledged nothing between two samples: Send-Q (write_seq − snd_una)
 * was not empty at both, and `bytes_acked` did not change. If the persist timer runs, the peer has
 * closed its window, so it does not read; otherwise it does not respond, or the path is broken. Null if
 * there is no problem.
 */
export function judgeSender(first: Moment | null, last: Moment | null): Verdict | null {
  if (!first || !last || last.socket.protocol !== 'TCP') return null;
  const before = first.socket;
  const after = last.socket;
  if (!SENDING.has(after.state) || unsentBytes(before) === 0 || unsentBytes(after) === 0) return null;
  if (!before.tcp || !after.tcp || before.tcp.bytesAcked === null || after.tcp.bytesAcked === null) return null;
  if (before.tcp.bytesAcked !== after.tcp.bytesAcked) return null;
  const watchedMs = Math.max(0, last.startedMs - first.endedMs);
  if (watchedMs < MIN_SLOW_MS) return null;
  const probing = after.timer?.kind === 'persist';
  const retransmits = after.timer?.kind === 'on' && after.timer.expired > 0;
  if (!probing && !retransmits && before.sendQ > after.sendQ) return null;
  return {
    verdict: 'stalled-sender',
    certainty: probing ? 'proved' : 'likely',
    waitedMs: watchedMs,
    evidence: {
      kind: 'acknowledged-nothing',
      unsentBytes: unsentBytes(after),
      probing,
      expired: after.timer?.expired ?? 0,
      watchedMs,
    },
  };
}

/** Bytes written that the peer has not acknowledged. The local FIN counts one in Send-Q. */
export function unsentBytes({ state, sendQ }: Moment['socket']): number {
  if (!SENDING.has(state)) return 0;
  return state === 'ESTABLISHED' || state === 'CLOSE-WAIT' ? sendQ : Math.max(0, sendQ - 1);
}

/** Data about a listener: itself at both samples, its pending connections, its process. */
interface ListenerTrack {
  readonly first: Moment;
  readonly last: Moment;
  /** Pending connections at each sample: cookies (TCP), inodes of their clients (unix). */
  readonly waitingFirst: ReadonlySet<string>;
  readonly waitingLast: ReadonlySet<string>;
  /** Unix: the windows between the samples, if its clients are not reported. */
  readonly windows: readonly TrackWindow[];
}

/**
 * Judges a listener with pending connections at both samples: `never-accepting` if all of the first
 * sample still wait (identified by their cookies, or by the inodes of a unix listener's clients), or if
 * no holder ran and the queue did not shrink (unix). Recv-Q of a listener is sk_ack_backlog.
 */
export function judgeAccepting(track: ListenerTrack): Verdict | null {
  const { first, last, waitingFirst, waitingLast, windows } = track;
  if (first.socket.recvQ === 0 || last.socket.recvQ === 0) return null;
  const watchedMs = Math.max(0, last.startedMs - first.endedMs);
  const byName = waitingFirst.size > 0 && [...waitingFirst].every((name) => waitingLast.has(name));
  const byRest =
    windows.length > 0 &&
    windows.every(({ recvQ, readersStill }) => recvQ.from > 0 && recvQ.to >= recvQ.from && readersStill === true);
  if (!byName && !byRest) return null;
  const complete = byName || windows.every(({ hiddenStill }) => hiddenStill);
  return {
    verdict: 'never-accepting',
    certainty: complete ? 'proved' : 'likely',
    waitedMs: watchedMs,
    evidence: { kind: 'accepted-nothing', waiting: last.socket.recvQ, watchedMs },
  };
}

/**
 * `backlog-full` if both samples have more pending connections than the limit (Send-Q of a listener,
 * sk_max_ack_backlog): sk_acceptq_is_full, new ones are dropped. Proved if some were.
 */
export function judgeBacklog(first: SocketRecord | null, last: SocketRecord): Verdict | null {
  const full = (socket: SocketRecord) => socket.recvQ > socket.sendQ;
  // Without skmem the socket was read from /proc/net, which lacks the limit.
  if (!first || !last.skmem || !full(first) || !full(last)) return null;
  const dropped = Math.max(0, (last.skmem?.drops ?? 0) - (first.skmem?.drops ?? 0));
  return {
    verdict: 'backlog-full',
    certainty: dropped > 0 ? 'proved' : 'likely',
    waitedMs: null,
    evidence: { kind: 'backlog-full', waiting: last.recvQ, limit: last.sendQ, dropped },
  };
}

/**
 * Identities of connections that are not accepted, by listener. TCP connections have a cookie but no inode.
 * For unix sockets, the kernel lists only their clients, oldest first.
 */
export class WaitingConnections {
  readonly #cookies = new Map<SocketRecord, Set<string>>();

  constructor(sockets: readonly SocketRecord[], queues: AcceptQueues) {
    for (const socket of sockets) {
      if (socket.protocol !== 'TCP' || socket.cookie === '') continue;
      for (const listener of queues.of(socket)) {
        const known = this.#cookies.get(listener);
        if (known) known.add(socket.cookie);
        else this.#cookies.set(listener, new Set([socket.cookie]));
      }
    }
  }

  of(listener: SocketRecord): ReadonlySet<string> {
    if (listener.protocol === 'UNIX') {
      const clients = listener.waiting ?? [];
      // The oldest is accepted first. If it is unknown, the others cannot prove that none was accepted.
      return new Set(clients[0] === 0 ? [] : clients.filter((inode) => inode !== 0).map(String));
    }
    return this.#cookies.get(listener) ?? new Set();
  }
}
