import type { Figures } from '../contracts/sockets.js';
import { type QueueName, queueFacts, queuesThat } from '../records/queues.js';
import type { SockIdentity } from '../walk/sockets/sock.js';
import type { Tally } from './tally.js';

/** Memory that a socket holds, and the effect of its close. */
export interface Holdings {
  readonly all: Tally;
  /** The part that is freed when the socket is closed. */
  readonly atClose: Tally;
  /** A TCP or MPTCP connection. */
  readonly connection?: Connection;
}

export interface Connection extends Pick<SockIdentity, 'netns' | 'local' | 'peer'> {
  /** Sent or unsent data, which is freed if the peer resets the connection; undefined: none. */
  readonly sending: Tally | undefined;
  /** Whether it has unread data: closing it then resets the connection and frees all of it. */
  readonly resets: boolean;
}

/** Queues that a connection keeps after its close, including data in flight to the peer. */
const LINGERING = queuesThat(({ atClose }) => atClose === 'kept');
const SENDING = LINGERING.filter((name) => queueFacts(name).payload === 'sent');
/** Data that is sent to the peer before the socket is freed. */
const SENT_FIRST = queuesThat(({ atClose }) => atClose === 'sent');

export interface CountedQueue {
  readonly name: QueueName;
  readonly tally: Tally;
  readonly figures: Figures;
}

/**
 * @param all memory of all queues
 * @param queues memory of each queue
 * @param mptcpResets whether closing an MPTCP connection with unread data resets it (since 6.1)
 */
export function holdingsOf(
  { type, protocol, state, netns, local, peer }: SockIdentity,
  all: Tally,
  queues: readonly CountedQueue[],
  newTally: () => Tally,
  mptcpResets: () => boolean,
): Holdings {
  const mptcp = protocol === 'MPTCP';
  const sum = (names: (name: QueueName) => boolean) => {
    const tally = newTally();
    for (const queue of queues) if (names(queue.name)) tally.add(queue.tally);
    return tally;
  };
  const holdsAny = (names: readonly QueueName[]) =>
    queues.some(({ name, figures }) => names.includes(name) && figures.pinnedBytes > 0);
  if (type !== 'SOCK_STREAM' || (protocol !== 'TCP' && !mptcp) || state === 'LISTEN') {
    const unsent = holdsAny(SENT_FIRST);
    return { all, atClose: unsent ? sum((name) => !SENT_FIRST.includes(name)) : all };
  }
  const sending = holdsAny(SENDING) ? sum((name) => SENDING.includes(name)) : undefined;
  const unread = queues.some(({ name, figures }) => name === 'receive' && figures.payloadBytes > 0);
  const resets = unread && (!mptcp || mptcpResets());
  const connection = { netns, local, peer, sending, resets };
  // MPTCP without such a reset keeps received data, too.
  const lingers = holdsAny(LINGERING) || (mptcp && unread);
  if (resets || !lingers) return { all, atClose: all, connection };
  const atClose = sum((name) => !mptcp && !LINGERING.includes(name));
  return { all, atClose, connection };
}
