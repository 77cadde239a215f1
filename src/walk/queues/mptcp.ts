import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';
import type { QueueName } from '../../records/queues.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { Entry, HeldPage, Queue, QueueFinder } from './queue.js';
import type { SkbLists } from './skb-lists.js';

/**
 * Memory of a `struct mptcp_sock` beside its sock's queues (net/mptcp/protocol.h). Its subflows are TCP
 * sockets of their own, and hold what they received and sent themselves.
 */
export class MptcpQueues implements QueueFinder {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #sock: StructLayout | undefined;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#sock = kernel.struct('mptcp_sock');
  }

  queues(sock: bigint): Queue[] {
    return [
      // Up to 6.12: skbs that recvmsg moved from the receive queue in one batch.
      ...this.#queue('reader', sock, 'receive_queue', (head) => this.#lists.ring(head)),
      ...this.#queue('outOfOrder', sock, 'out_of_order_queue', (root) =>
        this.#lists.tree(pointerPartOf(this.#kernel, 'struct mptcp_sock', sock, root)),
      ),
      ...this.#queue('retransmit', sock, 'rtx_queue', (head) => this.#frags(head)),
      // Since 6.19: data that subflows received while the process held the socket.
      ...this.#queue('subflowBacklog', sock, 'backlog_list', (head) => this.#lists.listed(head)),
    ];
  }

  #queue(name: QueueName, sock: bigint, member: string, entries: (address: bigint) => Iterable<Entry>): Queue[] {
    const layout = this.#sock?.member(member);
    if (!layout) return [];
    const address = sock + BigInt(layout.offset);
    const ring = layout.type === 'sk_buff_head';
    return [{ name, expected: ring ? this.#lists.length(address) : undefined, entries: () => entries(address) }];
  }

  /** Unacknowledged data: each `mptcp_data_frag` is in the page that it holds. */
  *#frags(head: bigint): Generator<HeldPage> {
    const frag = new StructReader(this.#kernel, 'mptcp_data_frag', ['list', 'data_len', 'page']);
    for (const view of frag.entries(head, 'list')) {
      yield { kind: 'page', page: view.pointer('page'), payload: view.number('data_len') };
    }
  }
}
