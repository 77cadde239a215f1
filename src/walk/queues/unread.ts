import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import type { Queue, QueueFinder } from './queue.js';

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

/**
 * SCTP's chunks hang in its associations' streams (net/sctp/structs.h). What they take is charged to
 * the socket: one that is charged nothing has none.
 */
export class SctpQueues implements QueueFinder {
  readonly #sock;

  constructor(kernel: Kernel) {
    this.#sock = new StructReader(kernel, 'sock', [
      'sk_backlog.rmem_alloc.counter',
      'sk_wmem_queued',
    ]);
  }

  queues(sock: bigint): Queue[] {
    const view = this.#sock.read(sock);
    const charged = view.number('sk_backlog.rmem_alloc.counter') + view.number('sk_wmem_queued');
    return charged === 0 ? [] : [unreadQueue('SCTP')];
  }
}
