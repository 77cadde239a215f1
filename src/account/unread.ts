import { type QueueName, queuesThat } from '../walk/queues/queue.js';
import type { Figures } from './figures.js';

const RECEIVED = queuesThat(({ payload }) => payload === 'received');
const SENT = queuesThat(({ payload }) => payload === 'sent');
const ERRORS = queuesThat(({ payload }) => payload === 'errors');
const UNSORTED = queuesThat(({ unsorted }) => unsorted === true);

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
  return { received: sumOf(RECEIVED), unsent: sumOf(SENT), errors: sumOf(ERRORS) };
}

/** Whether the payload of the queues tells how much is unread. */
export function tellsUnread(queues: Readonly<Partial<Record<QueueName, Figures>>>): boolean {
  return UNSORTED.every((name) => (queues[name]?.payloadBytes ?? 0) === 0);
}
