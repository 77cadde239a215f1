import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import type { Queue, QueueFinder } from './queue.js';

/**
 * Skbs that TCP keeps of a sock to use them again, with all that they hold: the last that was read and
 * the last that was acknowledged (sk_eat_skb, sk_wmem_free_skb in include/net/sock.h, 5.3 to 5.15,
 * where the sysctls tcp_rx_skb_cache and tcp_tx_skb_cache are set).
 */
export class KeptSkbs implements QueueFinder {
  readonly #kernel: Kernel;
  readonly #members: readonly MemberLayout[];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const sock = kernel.struct('sock');
    this.#members = ['sk_rx_skb_cache', 'sk_tx_skb_cache'].flatMap(
      (name) => sock?.member(name) ?? [],
    );
  }

  queues(sock: bigint): Queue[] {
    const skbs = this.#members
      .map(({ offset }) => this.#kernel.read(sock + BigInt(offset), 8).getBigUint64(0, true))
      .filter((skb) => skb !== 0n);
    if (skbs.length === 0) return [];
    return [{ name: 'kept', expected: undefined, entries: () => skbs }];
  }
}
