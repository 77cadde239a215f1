import type { SocketRecord } from '../host/socket.js';
import type { Evidence, Verdict } from './verdict.js';

/** One socket, seen at one or two moments (milliseconds on one clock). */
export interface Track {
  readonly first: Moment | null;
  /** Null when only one sample was taken. */
  readonly last: Moment | null;
  /** The first sample lost lines: that it lacks this socket says nothing, and the last one is judged alone. */
  readonly firstIsTorn?: boolean;
  /** For UDP and unix: the pieces of the time in between. */
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
  /** All holders that we know ran at no time in the window; null: no holder is known. */
  readonly readersStill: boolean | null;
  /** The same of those who could write, for connected unix streams; else null. */
  readonly writersStill: boolean | null;
  /** No process whose descriptors are hidden from us, so that it may be a holder too, ran. */
  readonly hiddenStill: boolean;
}

/** With one sample, younger data than this is in the normal way of things. */
export const ONE_SAMPLE_AGE_MS = 1000;

/** Data that waits for less than this is in the normal way of things, with two samples too. */
export const LEAST_SLOW_MS = 900;

/**
 * Unread payload in bytes. TCP's Recv-Q is rcv_nxt − copied_seq, and a FIN takes a sequence number
 * (tcp_diag_get_info, tcp_fin): in the states after the peer's FIN one of it is not data. For UDP, raw,
 * packet, netlink, MPTCP and SCTP it is truesize, for a unix datagram socket the length of the next
 * datagram only.
 */
export function unreadBytes(socket: SocketRecord): number {
  if (socket.state === 'LISTEN') return 0;
  return socket.protocol === 'TCP' && AFTER_FIN.has(socket.state)
    ? Math.max(0, socket.recvQ - 1)
    : socket.recvQ;
}

const AFTER_FIN = new Set(['CLOSE-WAIT', 'LAST-ACK', 'CLOSING', 'TIME-WAIT']);

/**
 * Judges one socket that holds unread data at its newest moment. Pure.
 *
 * TCP, two samples: the application has consumed `bytes_received − Recv-Q` (= copied_seq less a
 * constant; where the kernel does not count bytes, `−Recv-Q` if none came). The same twice proves that it took nothing in between, and then what was unread at the
 * first sample still is: it waits since the newest of it came, `lastrcv` before the first sample.
 *
 * TCP, one sample: Recv-Q > 0 and `lastrcv` N ms prove that all unread data waits for N ms or more.
 * They do not prove that the application reads nothing: it may be working through older data.
 *
 * UDP and unix have no counter of bytes. What is proved there is that those who hold the socket did
 * not run on any CPU (so nobody read), or that those who could write did not while the queue's
 * length stayed the same (so nobody read either). Holders that are hidden from us could have: then it is likely only.
 */
export function judge(track: Track): Verdict {
  const { first, last } = track;
  if (!last) return first ? judgeOneSample(first.socket) : undecided({ kind: 'one-sample' });
  if (!first && track.firstIsTorn)
    return last.socket.protocol === 'TCP'
      ? judgeOneSample(last.socket)
      : undecided({ kind: 'first-sample-torn' });
  if (!first || unreadBytes(first.socket) === 0) {
    const watchedMs = first ? Math.max(0, last.endedMs - first.startedMs) : 0;
    return reading({ kind: 'came-since', watchedMs });
  }
  // Where it is not known what came (/proc/net alone, old kernels) a TCP socket is judged as the others are.
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
    // Read in order: what is left of the first sample's data has waited all the time.
    if (bytes < unreadBytes(first.socket) && watchedMs >= LEAST_SLOW_MS)
      return {
        verdict: 'slow-reader',
        certainty: 'proved',
        waitedMs: watchedMs,
        evidence: {
          kind: 'consumed-part',
          bytes,
          received: Math.max(0, received),
          watchedMs,
        },
      };
    return reading({ kind: 'consumed', bytes, watchedMs });
  }
  // inet_diag reads Recv-Q before it locks the socket for tcp_info: data that comes in between
  // makes one sample's difference too large.
  if (bytes < 0) return undecided({ kind: 'raced' });
  return {
    verdict: 'stalled-reader',
    certainty: 'proved',
    waitedMs: (first.socket.tcp?.lastReceivedMs ?? 0) + watchedMs,
    evidence: { kind: 'consumed-nothing', watchedMs },
  };
}

/**
 * Bytes that came between two samples, by the kernel's counter; without one, none where the newest is
 * older than the first sample. Null when it is not known.
 */
function receivedBetween(first: Moment, last: Moment): number | null {
  const one = first.socket.tcp;
  const other = last.socket.tcp;
  if (!one || !other) return null;
  if (one.bytesReceived !== null && other.bytesReceived !== null)
    return other.bytesReceived - one.bytesReceived;
  return other.lastReceivedMs > last.endedMs - first.startedMs ? 0 : null;
}

function judgeByActivity(track: Track, socket: SocketRecord): Verdict {
  const { windows } = track;
  const holdersComplete = windows.every((window) => window.hiddenStill);
  const from = windows[0];
  const to = windows.at(-1);
  if (!from || !to) return undecided({ kind: 'one-sample' });
  // Recv-Q of a unix datagram socket is the first datagram's length: another one is the next one's.
  const firstOnly = socket.protocol === 'UNIX' && socket.type === 'SOCK_DGRAM';
  if (windows.some(({ recvQ: q }) => q.to < q.from || (firstOnly && q.from > 0 && q.to > q.from)))
    return reading({ kind: 'queue-was-read' });
  const watchedMs = Math.max(0, to.endMs - from.startMs);
  const still = windows.filter((window) => readersStood(window) || writersStood(window));
  if (still.length === 0)
    return undecided(
      windows.every((window) => window.readersStill === null && window.writersStill === null)
        ? { kind: 'no-holder' }
        : { kind: 'both-ran', watchedMs },
    );
  const lengths = still.map((window) => Math.max(0, window.endMs - window.startMs));
  const whole = still.length === windows.length;
  return {
    verdict: 'stalled-reader',
    certainty: whole && holdersComplete ? 'proved' : 'likely',
    waitedMs: !holdersComplete ? null : whole ? watchedMs : Math.max(...lengths),
    evidence: whole
      ? {
          kind: 'did-not-run',
          side: windows.every(readersStood)
            ? 'reader'
            : windows.every(writersStood)
              ? 'writer'
              : 'either',
          watchedMs,
          holdersComplete,
        }
      : { kind: 'partly-idle', idleMs: lengths.reduce((a, b) => a + b, 0), watchedMs },
  };
}

function readersStood({ recvQ, readersStill }: TrackWindow): boolean {
  return recvQ.from > 0 && readersStill === true;
}

function writersStood({ recvQ, writersStill }: TrackWindow): boolean {
  return recvQ.from > 0 && recvQ.to === recvQ.from && writersStill === true;
}

function reading(evidence: Evidence): Verdict {
  return { verdict: 'reading', certainty: null, waitedMs: null, evidence };
}

function undecided(evidence: Evidence): Verdict {
  return { verdict: 'undecided', certainty: null, waitedMs: null, evidence };
}
