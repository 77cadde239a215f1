import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import type { Queue, QueueFinder } from './queue.js';

/**
 * Skbs that TCP keeps for a sock outside its queues, with all memory that they pin. For reuse: the last one
 * read and the last one acknowledged (sk_eat_skb, sk_wmem_free_skb in include/net/sock.h, 5.3 to 5.15, with
 * the sysctls tcp_rx_skb_cache and tcp_tx_skb_cache). For packet options: the last received one, if the
 * process requested any (tcp_v6_do_rcv in net/ipv6/tcp_ipv6.c).
 */
export class KeptSkbs implements QueueFinder {
  readonly #kernel: Kernel;
  /** Offsets of the skb pointers in a sock. */
  readonly #caches: readonly bigint[];
  /** Offset of the pointer to the IPv6 part in a sock, and of the skb pointer in that; undefined: no IPv6. */
  readonly #options: { readonly part: bigint; readonly skb: bigint } | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const offsets = (type: string, ...names: string[]) =>
      names.flatMap((name) => {
        const member = kernel.struct(type)?.member(name);
        return member ? [BigInt(member.offset)] : [];
      });
    this.#caches = offsets('sock', 'sk_rx_skb_cache', 'sk_tx_skb_cache');
    const [part] = offsets('inet_sock', 'pinet6');
    const [skb] = offsets('ipv6_pinfo', 'pktoptions');
    this.#options = part === undefined || skb === undefined ? undefined : { part, skb };
  }

  queues(sock: bigint): Queue[] {
    const skbs = this.#caches.map((offset) => this.#pointer('struct sock', sock, offset));
    if (this.#options) {
      const part = this.#pointer('struct inet_sock', sock, this.#options.part);
      if (part !== 0n) skbs.push(this.#pointer('struct ipv6_pinfo', part, this.#options.skb));
    }
    const kept = skbs.filter((skb) => skb !== 0n);
    if (kept.length === 0) return [];
    return [{ name: 'kept', expected: undefined, entries: () => kept }];
  }

  #pointer(whole: string, at: bigint, offset: bigint): bigint {
    return pointerPartOf(this.#kernel, whole, at, at + offset);
  }
}
