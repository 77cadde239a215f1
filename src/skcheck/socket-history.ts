import type { Observation } from '../host/observation.js';
import { AcceptQueues, OtherEnds, type SocketRecord, socketKey } from '../host/socket.js';
import { type Moment, type TrackWindow, WaitingConnections } from './judge.js';
import type { Verdict } from './verdict.js';

/** Per-socket view of an observation, for sockets of its newest sample. */
export class SocketHistory {
  readonly #observation: Observation;
  /** The first sample's sockets by `socketKey`, null if it is the only one. */
  readonly #earlier: ReadonlyMap<string, SocketRecord> | null;
  readonly #unix: ReadonlyMap<number, SocketRecord>;
  /** Unix datagram sockets by the inode of the socket that they are connected to. */
  readonly #senders: ReadonlyMap<number, readonly SocketRecord[]>;
  readonly #queues: AcceptQueues;
  readonly #ends: OtherEnds;
  readonly #waitingFirst: WaitingConnections;
  readonly #waitingLast: WaitingConnections;

  constructor(observation: Observation) {
    this.#observation = observation;
    const newest = observation.last ?? observation.first;
    this.#earlier = observation.last && new Map(observation.first.sockets.map((socket) => [socketKey(socket), socket]));
    this.#unix = new Map(
      newest.sockets.flatMap((socket) => (socket.protocol === 'UNIX' ? [[socket.inode, socket] as const] : [])),
    );
    const senders = new Map<number, SocketRecord[]>();
    for (const socket of this.#unix.values())
      if (socket.type === 'SOCK_DGRAM' && socket.peerInode !== 0)
        senders.set(socket.peerInode, [...(senders.get(socket.peerInode) ?? []), socket]);
    this.#senders = senders;
    this.#queues = new AcceptQueues(newest.sockets);
    this.#ends = new OtherEnds(newest.sockets);
    this.#waitingFirst = new WaitingConnections(observation.first.sockets, new AcceptQueues(observation.first.sockets));
    this.#waitingLast = new WaitingConnections(newest.sockets, this.#queues);
  }

  /** Returns the same socket in the first sample. */
  earlier(socket: SocketRecord): SocketRecord | undefined {
    if (!this.#earlier) return socket;
    const wasIdle = socket.protocol === 'UDP' && this.#observation.first.idle?.has(socket.inode);
    return this.#earlier.get(socketKey(socket)) ?? (wasIdle ? idleBefore(socket) : undefined);
  }

  /** Whether the first sample lost lines in the socket's namespace: its absence there is then inconclusive. */
  firstIsTorn({ netns }: SocketRecord): boolean {
    return this.#observation.first.torn.has(netns);
  }

  /** Returns the socket at the first sample, null if missing there. */
  first(socket: SocketRecord): Moment | null {
    const earlier = this.earlier(socket);
    const { first } = this.#observation;
    return earlier ? { ...(first.spans.get(socket.netns) ?? first), socket: earlier } : null;
  }

  /** Returns the socket at the last sample, null if there was only one sample. */
  last(socket: SocketRecord): Moment | null {
    const { last } = this.#observation;
    return last ? { ...(last.spans.get(socket.netns) ?? last), socket } : null;
  }

  /** Returns the listeners in one of whose queues it waits, from the newest sample. */
  listeners(socket: SocketRecord): readonly SocketRecord[] {
    return this.#queues.of(socket);
  }

  /** Returns the peer of a unix socket, from the newest sample. */
  unixPeer(socket: SocketRecord): SocketRecord | undefined {
    return this.#unix.get(socket.peerInode);
  }

  /** Returns the peer of a TCP connection if it is a socket of this host with data in a queue. */
  tcpPeer(socket: SocketRecord): SocketRecord | null {
    return socket.protocol === 'TCP' && socket.state !== 'LISTEN' ? this.#ends.of(socket) : null;
  }

  /** Returns the unix datagram sockets connected to this one with data in flight, from the newest sample. */
  unixSenders({ inode }: SocketRecord): readonly SocketRecord[] {
    return (this.#senders.get(inode) ?? []).filter(({ skmem }) => (skmem?.wmem ?? 0) > 0);
  }

  /** Packets dropped between the samples; 0 if unknown. */
  dropped(socket: SocketRecord): number {
    const before = this.earlier(socket)?.skmem?.drops ?? null;
    return before === null ? 0 : Math.max(0, (socket.skmem?.drops ?? 0) - before);
  }

  /** Packets dropped earlier, if none was dropped between the samples; null: none, or unknown. */
  droppedBefore(socket: SocketRecord): { packets: number; watchedMs: number | null } | null {
    const packets = socket.skmem?.drops ?? 0;
    if (packets === 0 || this.dropped(socket) > 0) return null;
    const [first, last] = [this.first(socket), this.last(socket)];
    const known = first !== null && last !== null;
    const watchedMs = known ? Math.floor(Math.max(0, last.startedMs - first.endedMs)) : null;
    return { packets, watchedMs };
  }

  /** Returns the pending connections of a listener, at the first and at the newest sample. */
  waiting(first: SocketRecord, last: SocketRecord) {
    return { waitingFirst: this.#waitingFirst.of(first), waitingLast: this.#waitingLast.of(last) };
  }

  /** Returns the windows between the samples; none for a socket that was not watched in all of them. */
  windows(socket: SocketRecord): TrackWindow[] {
    const key = socketKey(socket);
    if (!this.#observation.windows.every(({ recvQ }) => recvQ.has(key))) return [];
    return this.#observation.windows.flatMap((window) => {
      const recvQ = window.recvQ.get(key);
      if (!recvQ) return [];
      const still = (inode: number) => sideStill(this.#observation, inode, window.still);
      return {
        startMs: window.startMs,
        endMs: window.endMs,
        recvQ,
        hiddenStill: this.#observation.holders.denied.every((pid) => window.still.get(pid) === true),
        readersStill: still(socket.inode),
        writersStill: socket.type === 'SOCK_DGRAM' || socket.peerInode === 0 ? null : still(socket.peerInode),
      };
    });
  }
}

/** The socket as it was while nothing was charged to it, and nothing had been dropped. */
function idleBefore(socket: SocketRecord): SocketRecord {
  const charges = { rmem: 0, wmem: 0, forward: 0, wmemQueued: 0, optmem: 0, backlog: 0, drops: 0 };
  return { ...socket, recvQ: 0, sendQ: 0, skmem: socket.skmem && { ...socket.skmem, ...charges } };
}

/** Null if no holder is known. Whether there may be hidden holders is reported separately. */
function sideStill(
  { holders }: Observation,
  inode: number,
  still: ReadonlyMap<number, boolean | null>,
): boolean | null {
  const descriptors = holders.byInode.get(inode) ?? [];
  if (descriptors.some(({ pid }) => still.get(pid) === false)) return false;
  if (descriptors.length === 0) return null;
  return descriptors.every(({ pid }) => still.get(pid) === true) ? true : null;
}

/**
 * Conclusions of earlier samples, which extend the known duration of a problem: a socket not read
 * between samples 1 and 2 nor between 2 and 3 was not read from 1 to 3.
 */
export class Ages {
  #byKey = new Map<string, { readonly waitedMs: number; readonly atMs: number }>();

  /** Extends a verdict by the time known from earlier samples. `nowMs`: end of this sample. */
  extend(key: string, verdict: Verdict, nowMs: number): Verdict {
    const known = this.#byKey.get(`${verdict.verdict} ${key}`);
    if (!known || verdict.waitedMs === null) return verdict;
    const waitedMs = known.waitedMs + Math.max(0, nowMs - known.atMs);
    return waitedMs > verdict.waitedMs ? { ...verdict, waitedMs } : verdict;
  }

  /** Records the verdicts of a sample; sockets missing in it are dropped. */
  note(findings: readonly { readonly socket: SocketRecord; readonly verdict: Verdict }[], nowMs: number): void {
    this.#byKey = new Map(
      findings.flatMap(({ socket, verdict }) =>
        verdict.waitedMs === null
          ? []
          : [[`${verdict.verdict} ${socketKey(socket)}`, { waitedMs: verdict.waitedMs, atMs: nowMs }] as const],
      ),
    );
  }
}
