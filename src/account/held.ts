import type { QueueName } from '../walk/queues/queue.js';
import type { SockIdentity } from '../walk/sockets/sock.js';
import type { Figures } from './figures.js';
import type { Tally } from './tally.js';

/** What a socket holds, and what its close does to it. */
export interface Held {
  readonly all: Tally;
  /** What of it goes as soon as the socket is closed. */
  readonly atClose: Tally;
  /** Of a connection of TCP's or MPTCP's. */
  readonly connection?: Connection;
}

export interface Connection extends Pick<SockIdentity, 'netns' | 'local' | 'peer'> {
  /** What it has sent or will send, which goes if the other end resets it; undefined: nothing. */
  readonly sending: Tally | undefined;
  /** It has data that nobody has read: a close resets the connection, and all of it goes. */
  readonly resets: boolean;
}

/**
 * Queues that a connection keeps after its close, without an owner, until the peer has acknowledged
 * everything (tcp_close in net/ipv4/tcp.c); kTLS sends what it still has first (net/tls/tls_sw.c).
 */
const LINGERING: readonly QueueName[] = [
  ...(['outOfOrder', 'error', 'write', 'retransmit', 'tlsSend'] as const),
];

const SENDING: readonly QueueName[] = ['write', 'retransmit', 'tlsSend'];

export interface CountedQueue {
  readonly name: QueueName;
  readonly tally: Tally;
  readonly figures: Figures;
}

/**
 * @param all of all queues
 * @param queues each queue by itself
 * @param mptcpResets whether MPTCP's close resets a connection with unread data (since 6.1)
 */
export function heldBy(
  { type, protocol, state, netns, local, peer }: SockIdentity,
  all: Tally,
  queues: readonly CountedQueue[],
  newTally: () => Tally,
  mptcpResets: boolean,
): Held {
  const mptcp = protocol === 'MPTCP';
  const sum = (names: (name: QueueName) => boolean) => {
    const tally = newTally();
    for (const queue of queues) if (names(queue.name)) tally.add(queue.tally);
    return tally;
  };
  const holdsAny = (names: readonly QueueName[]) =>
    queues.some(({ name, figures }) => names.includes(name) && figures.pinnedBytes > 0);
  if (type !== 'SOCK_STREAM' || (protocol !== 'TCP' && !mptcp) || state === 'LISTEN') {
    // SCTP sends what it still has before it lets an association go (sctp_close in net/sctp/socket.c).
    const unsent = holdsAny(['sctpSend']);
    return { all, atClose: unsent ? sum((name) => name !== 'sctpSend') : all };
  }
  const sending = holdsAny(SENDING) ? sum((name) => SENDING.includes(name)) : undefined;
  const unread = queues.some(({ name, figures }) => name === 'receive' && figures.payloadBytes > 0);
  const resets = unread && (!mptcp || mptcpResets);
  const connection = { netns, local, peer, sending, resets };
  // MPTCP without such a reset keeps what it has received as well.
  const lingers = holdsAny(LINGERING) || (mptcp && unread);
  if (resets || !lingers) return { all, atClose: all, connection };
  const atClose = sum((name) => !mptcp && !LINGERING.includes(name));
  return { all, atClose, connection };
}
