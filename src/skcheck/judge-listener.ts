import type { AcceptQueues, SocketRecord } from '../host/socket.js';
import type { Moment, TrackWindow } from './judge.js';
import type { Verdict } from './verdict.js';

/** Data about a listener: itself at both samples, its pending connections, its process. */
export interface ListenerTrack {
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
    windows.every(
      ({ recvQ, readersStill }) =>
        recvQ.from > 0 && recvQ.to >= recvQ.from && readersStill === true,
    );
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
