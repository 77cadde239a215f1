import { AcceptQueues } from '../host/accept-queues.js';
import type { Observation } from '../host/observation.js';
import { OtherEnds } from '../host/pairs.js';
import { type SocketRecord, socketKey } from '../host/socket.js';
import type { Moment, TrackWindow } from './judge.js';
import { WaitingConnections } from './judge-listener.js';

/** An observation, asked about one socket of its newest sample at a time. */
export class SocketHistory {
  readonly #observation: Observation;
  /** The first sample's sockets by `socketKey`, null when it is the only one. */
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
    this.#earlier =
      observation.last &&
      new Map(observation.first.sockets.map((socket) => [socketKey(socket), socket]));
    this.#unix = new Map(
      newest.sockets.flatMap((socket) =>
        socket.protocol === 'UNIX' ? [[socket.inode, socket] as const] : [],
      ),
    );
    const senders = new Map<number, SocketRecord[]>();
    for (const socket of this.#unix.values())
      if (socket.type === 'SOCK_DGRAM' && socket.peerInode !== 0)
        senders.set(socket.peerInode, [...(senders.get(socket.peerInode) ?? []), socket]);
    this.#senders = senders;
    this.#queues = new AcceptQueues(newest.sockets);
    this.#ends = new OtherEnds(newest.sockets);
    this.#waitingFirst = new WaitingConnections(
      observation.first.sockets,
      new AcceptQueues(observation.first.sockets),
    );
    this.#waitingLast = new WaitingConnections(newest.sockets, this.#queues);
  }

  /** The same socket in the first sample. */
  earlier(socket: SocketRecord): SocketRecord | undefined {
    return this.#earlier ? this.#earlier.get(socketKey(socket)) : socket;
  }

  /** The first sample lost something where this socket lives: that it lacks it says nothing. */
  firstIsTorn({ netns }: SocketRecord): boolean {
    return this.#observation.first.torn.has(netns);
  }

  /** The socket at the first sample, null when that lacks it. */
  first(socket: SocketRecord): Moment | null {
    const earlier = this.earlier(socket);
    const { first } = this.#observation;
    return earlier ? { ...(first.spans.get(socket.netns) ?? first), socket: earlier } : null;
  }

  /** The socket at the last sample, null when there was only one. */
  last(socket: SocketRecord): Moment | null {
    const { last } = this.#observation;
    return last ? { ...(last.spans.get(socket.netns) ?? last), socket } : null;
  }

  /** The listeners in one of whose queues it waits to be accepted, as the newest sample has them. */
  listeners(socket: SocketRecord): readonly SocketRecord[] {
    return this.#queues.of(socket);
  }

  /** The other end of a unix socket, as the newest sample has it. */
  unixPeer(socket: SocketRecord): SocketRecord | undefined {
    return this.#unix.get(socket.peerInode);
  }

  /** The other end of a TCP connection, where that is a socket of this host with something in a queue. */
  tcpPeer(socket: SocketRecord): SocketRecord | null {
    return socket.protocol === 'TCP' && socket.state !== 'LISTEN' ? this.#ends.of(socket) : null;
  }

  /** The unix datagram sockets that are connected to this one and have data on its way, as the newest sample has them. */
  unixSenders({ inode }: SocketRecord): readonly SocketRecord[] {
    return (this.#senders.get(inode) ?? []).filter(({ skmem }) => (skmem?.wmem ?? 0) > 0);
  }

  /** Packets dropped between the samples; 0 where that is not told. */
  dropped(socket: SocketRecord): number {
    const before = this.earlier(socket)?.skmem?.drops ?? null;
    return before === null ? 0 : Math.max(0, (socket.skmem?.drops ?? 0) - before);
  }

  /** Packets dropped in the past, when the samples count no other; null: none, or not known. */
  droppedBefore(socket: SocketRecord): { packets: number; watchedMs: number | null } | null {
    const packets = socket.skmem?.drops ?? 0;
    if (packets === 0 || this.dropped(socket) > 0) return null;
    const [first, last] = [this.first(socket), this.last(socket)];
    const known = first !== null && last !== null;
    const watchedMs = known ? Math.floor(Math.max(0, last.startedMs - first.endedMs)) : null;
    return { packets, watchedMs };
  }

  /** What waited at a listener, at the first and at the newest sample. */
  waiting(first: SocketRecord, last: SocketRecord) {
    return {
      waitingFirst: this.#waitingFirst.of(first),
      waitingLast: this.#waitingLast.of(last),
    };
  }

  /** The pieces of the time in between; none for a socket that was not watched in all of them. */
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
        hiddenStill: this.#observation.holders.denied.every(
          (pid) => window.still.get(pid) === true,
        ),
        readersStill: still(socket.inode),
        writersStill:
          socket.type === 'SOCK_DGRAM' || socket.peerInode === 0 ? null : still(socket.peerInode),
      };
    });
  }
}

/** Null when no holder is known. Whether others may be hidden from us is said apart. */
function sideStill(
  { holders }: Observation,
  inode: number,
  still: ReadonlyMap<number, boolean | null>,
): boolean | null {
  const held = holders.byInode.get(inode) ?? [];
  if (held.some(({ pid }) => still.get(pid) === false)) return false;
  if (held.length === 0) return null;
  return held.every(({ pid }) => still.get(pid) === true) ? true : null;
}
