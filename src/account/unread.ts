import type { QueueName } from '../walk/queues/queue.js';
import type { Figures } from './figures.js';

/** What has come from the peer; an error queue has what the kernel says of one's own packets. */
const RECEIVED: readonly QueueName[] = [
  ...(['receive', 'outOfOrder', 'backlog', 'reader', 'producing', 'subflowBacklog'] as const),
  ...(['tlsReceive', 'tlsHold', 'tlsRecord', 'ingressSkbs'] as const),
  ...(['ingressPart', 'ingressMessages'] as const),
  ...(['sctpReceive', 'vsockReceive', 'rxRing'] as const),
];

const SENT: readonly QueueName[] = [
  ...(['write', 'retransmit', 'tlsSend', 'cork', 'sctpSend', 'txRing'] as const),
];

/** Payload by what is to become of it, in bytes. */
export interface Payload {
  /** In skbs that have come and are not read whole. */
  readonly received: number;
  /** Not yet sent, or not yet acknowledged. */
  readonly unsent: number;
  /** In the error queue. */
  readonly errors: number;
}

export function payloadOf(queues: Readonly<Partial<Record<QueueName, Figures>>>): Payload {
  const sumOf = (names: readonly QueueName[]) =>
    names.reduce((sum, name) => sum + (queues[name]?.payloadBytes ?? 0), 0);
  return { received: sumOf(RECEIVED), unsent: sumOf(SENT), errors: sumOf(['error']) };
}

/** Packets as they came: with headers, and what was sent twice is there twice. */
const UNSORTED: readonly QueueName[] = ['backlog', 'subflowBacklog'];

/** Whether the payload of the queues tells how much is unread. */
export function tellsUnread(queues: Readonly<Partial<Record<QueueName, Figures>>>): boolean {
  return UNSORTED.every((name) => (queues[name]?.payloadBytes ?? 0) === 0);
}
