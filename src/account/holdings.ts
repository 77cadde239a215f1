import { type QueueName, queueFacts, queuesThat } from '../walk/queues/queue.js';
import type { SockIdentity } from '../walk/sockets/sock.js';
import type { Figures } from './figures.js';
import type { Tally } from './tally.js';

/** What a socket holds, and what its close does to it. */
export interface Holdings {
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

/** What a connection keeps after its close, and what of that is on its way to the peer. */
const LINGERING = queuesThat(({ atClose }) => atClose === 'kept');
const SENDING = LINGERING.filter((name) => queueFacts(name).payload === 'sent');
/** What goes to the peer before a socket lets go of it. */
const SENT_FIRST = queuesThat(({ atClose }) => atClose === 'sent');

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
  // MPTCP without such a reset keeps what it has received as well.
  const lingers = holdsAny(LINGERING) || (mptcp && unread);
  if (resets || !lingers) return { all, atClose: all, connection };
  const atClose = sum((name) => !mptcp && !LINGERING.includes(name));
  return { all, atClose, connection };
}
