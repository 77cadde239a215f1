import { unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { numaNodes } from '../cpus.js';
import { pointerPartOf } from '../named-read.js';
import type { Queue, QueueFinder } from './queue.js';
import type { SkbLists } from './skb-lists.js';

/**
 * `udp_sock.udp_prod_queue`, since 6.18: a lock-less list per NUMA node, to which CPUs add datagrams for the
 * CPU that queues them (net/ipv4/udp.c, __udp_enqueue_schedule_skb).
 */
export class UdpProducers implements QueueFinder {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #queues;
  readonly #stride: number;
  readonly #first: number;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#queues = kernel.struct('udp_sock')?.member('udp_prod_queue');
    const queue = kernel.struct('udp_prod_queue');
    this.#stride = queue?.size ?? 0;
    this.#first = queue?.member('ll_root.first')?.offset ?? 0;
  }

  queues(sock: bigint): Queue[] {
    const member = this.#queues;
    if (!member) return [];
    return [{ name: 'producing', expected: undefined, entries: () => this.#skbs(sock) }];
  }

  *#skbs(sock: bigint): Generator<bigint> {
    const member = this.#queues;
    if (this.#stride === 0 || !member?.pointer) {
      throw unsupportedLayout('unsupported layout of udp_prod_queue');
    }
    const at = sock + BigInt(member.offset);
    const queues = pointerPartOf(this.#kernel, 'struct udp_sock', sock, at);
    if (queues === 0n) return;
    const nodes = numaNodes(this.#kernel);
    for (let node = 0; node < nodes; node++) {
      const own = queues + BigInt(node * this.#stride);
      const root = own + BigInt(this.#first);
      yield* this.#lists.chain(pointerPartOf(this.#kernel, 'struct udp_prod_queue', own, root));
    }
  }
}
