import { KernelError } from '../../base/errors/kernel.js';
import type { Queue } from './queue.js';

/** A queue that says, when it is walked, that what is in it was not read. */
export function unreadQueue(what: string): Queue {
  const entries = (): never => {
    throw new KernelError(
      'unsupported-layout',
      `${what} sockets have queues of their own, which this program does not read`,
    );
  };
  return { name: 'own', expected: undefined, entries };
}
