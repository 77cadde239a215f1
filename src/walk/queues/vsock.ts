import { unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import type { Entry, Queue, QueueFinder } from './queue.js';
import type { SkbLists } from './skb-lists.js';

/**
 * Unread packets of a virtio, vhost or loopback transport of AF_VSOCK, in `virtio_vsock_sock.rx_queue`: skbs
 * since 6.3, packets with a kmalloc'ed buffer before. All types belong to modules.
 */
export class VsockQueues implements QueueFinder {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
  }

  queues(sock: bigint): Queue[] {
    return [{ name: 'vsockReceive', expected: undefined, entries: () => this.#packets(sock) }];
  }

  *#packets(sock: bigint): Generator<Entry> {
    if (!this.#kernel.struct('vsock_sock')) this.#unknown('struct vsock_sock is unknown');
    const vsock = new StructReader(this.#kernel, 'vsock_sock', ['trans']);
    const transport = vsock.read(sock).pointer('trans');
    if (transport === 0n) return;
    const layout = this.#kernel.struct('virtio_vsock_sock');
    if (!layout) this.#unknown('its transport is not virtio, or has an unsupported layout');
    const reader = new StructReader(this.#kernel, 'virtio_vsock_sock', ['vsk', 'rx_queue']);
    const view = reader.read(transport);
    if (view.pointer('vsk') !== sock) this.#unknown('its transport is not virtio');
    const queue = view.addressOf('rx_queue');
    if (reader.members.rx_queue.type === 'sk_buff_head') yield* this.#lists.ring(queue);
    else yield* this.#buffers(queue);
  }

  *#buffers(head: bigint): Generator<Entry> {
    const reader = new StructReader(this.#kernel, 'virtio_vsock_pkt', ['list', 'buf', 'len', 'off']);
    for (const view of reader.entries(head, 'list')) {
      yield { kind: 'object', address: view.address, payload: 0 };
      const buffer = view.pointer('buf');
      const payload = Math.max(0, view.number('len') - view.number('off'));
      if (buffer !== 0n) yield { kind: 'object', address: buffer, payload };
    }
  }

  #unknown(why: string): never {
    throw unsupportedLayout(why);
  }
}
