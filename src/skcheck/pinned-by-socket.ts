import type { HostFacts } from '../host/observation.js';
import { queueIsTruesize, type SocketRecord } from '../host/socket.js';
import { unreadBytes, unsentBytes } from './judge.js';
import {
  estimatePinned,
  estimateUnixBacklog,
  estimateUnixDatagrams,
  NOTHING_PINNED,
  type PinnedEstimate,
  sumPinned,
} from './pinned.js';
import type { SocketHistory } from './socket-history.js';

export interface SocketPinned {
  readonly pinned: PinnedEstimate;
  /** Memory charged to the socket for the pinned data, or an upper estimate. */
  readonly charge: number;
}

/**
 * Estimates the memory that a socket pins: its unread data, data that its peer has not read, and connections
 * pending at a unix listener.
 *
 * @param sends whether to include the data that the peer has not read
 */
export function pinnedBy(
  socket: SocketRecord,
  sends: boolean,
  host: HostFacts,
  history: SocketHistory,
): SocketPinned {
  const { maxSkbFrags, unplacedMemory, unplacedIsCounted } = host;
  const shared = { maxSkbFrags, unplacedMemory, unplacedIsCounted };
  const unread = unreadBytes(socket);
  const sides: PinnedEstimate[] = [];
  let charge = 0;
  if (unread > 0 && isUnixDatagram(socket)) {
    const senders = history.unixSenders(socket);
    const sent = senders.map(({ skmem }) => skmem?.wmem ?? 0).reduce((sum, each) => sum + each, 0);
    const datagrams = estimateUnixDatagrams({
      maxSkbFrags,
      unplacedMemory,
      next: unread,
      sendersCharge: senders.length === 0 ? null : sent,
      sendersComplete:
        socket.local === '*' && senders.some(({ inode }) => inode === socket.peerInode),
    });
    sides.push(datagrams);
    charge += datagrams.likely;
  } else if (unread > 0) {
    const receiveCharge = chargeOf(socket, history.unixPeer(socket));
    sides.push(
      estimatePinned({
        ...shared,
        protocol: pinnedKind(socket),
        payload: queueIsTruesize(socket.protocol) ? 0 : unread,
        charge: receiveCharge,
        segments: segmentsOf(socket),
        payloadIsPart: payloadIsPart(socket),
      }),
    );
    charge += receiveCharge ?? 2 * unread;
  }
  if (sends) {
    const queue = sendQueueOf(socket, host);
    if (queue) sides.push(queue.pinned);
    charge += queue?.charge ?? 0;
  }
  if (socket.state === 'LISTEN' && socket.protocol === 'UNIX') {
    const waiting = estimateUnixBacklog(socket.recvQ);
    sides.push(waiting);
    charge += waiting.high;
  }
  const pinned = sides.length === 0 ? NOTHING_PINNED : sumPinned(sides, charge, host);
  return { pinned, charge };
}

/** Estimates the memory pinned by the send queue of a TCP socket; null: it is empty. */
export function sendQueueOf(socket: SocketRecord, host: HostFacts): SocketPinned | null {
  const unsent = socket.protocol === 'TCP' ? unsentBytes(socket) : 0;
  if (unsent === 0) return null;
  const { maxSkbFrags, unplacedMemory, unplacedIsCounted } = host;
  const charge = socket.skmem?.wmemQueued ?? null;
  const pinned = estimatePinned({
    maxSkbFrags,
    unplacedMemory,
    unplacedIsCounted,
    protocol: 'TCP',
    payload: unsent,
    charge,
    segments: 0,
    payloadIsPart: false,
  });
  return { pinned, charge: charge ?? 2 * unsent };
}

function isUnixDatagram({ protocol, type, skmem }: SocketRecord): boolean {
  return protocol === 'UNIX' && type === 'SOCK_DGRAM' && skmem !== null;
}

function pinnedKind({ protocol }: SocketRecord): 'TCP' | 'UDP' | 'UNIX' {
  if (protocol === 'UNIX') return 'UNIX';
  return queueIsTruesize(protocol) ? 'UDP' : 'TCP';
}

/** Returns data_segs_in. It has 32 bits: after 4 GiB received it may have wrapped, and is not used. */
function segmentsOf({ tcp }: SocketRecord): number {
  return tcp && tcp.bytesReceived !== null && tcp.bytesReceived < 2 ** 32 ? tcp.dataSegments : 0;
}

/**
 * Whether Recv-Q may lack charged data: out-of-order data and the backlog are charged, but not included in
 * Recv-Q.
 */
function payloadIsPart({ protocol, tcp, skmem }: SocketRecord): boolean {
  if (protocol === 'TCP' && (!tcp || tcp.outOfOrder > 0)) return true;
  return !skmem || skmem.backlog > 0;
}

/**
 * Memory charged for the receive side. A unix stream's data is charged to its sender (skb_set_owner_w),
 * which can only send to this socket. A sender missing in the sample has nothing charged.
 */
function chargeOf(socket: SocketRecord, peer: SocketRecord | undefined): number | null {
  if (!socket.skmem) return null;
  const own = socket.skmem.rmem + socket.skmem.backlog;
  if (socket.protocol !== 'UNIX') return own;
  if (socket.peerInode === 0) return null;
  return peer?.skmem && peer.protocol === 'UNIX' ? own + peer.skmem.wmem : null;
}
