import { damaged } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import type { Entry } from './queue.js';

/** Flag bits of `scatterlist.page_link`: SG_CHAIN and SG_END (include/linux/scatterlist.h). */
const PAGE_LINK_FLAGS = 3n;
const SG_CHAIN = 1n;

/** Returns the page of a scatterlist entry; undefined: it has none, or points to the next list. */
export function scatterlistPage(link: bigint): bigint | undefined {
  const page = link & ~PAGE_LINK_FLAGS;
  return (link & SG_CHAIN) !== 0n || page === 0n ? undefined : page;
}

/**
 * Reads a `struct sk_msg`: a message of sockmap or kTLS, a ring of scatterlist entries each of which holds a
 * reference to its page, or to its skb if it arrived as one (include/linux/skmsg.h).
 */
export class SkMsgReader {
  readonly #msg;
  readonly #entry;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#msg = new StructReader(kernel, 'sk_msg', ['sg.start', 'sg.end', 'sg.data', 'skb']);
    this.#entry = new StructReader(kernel, 'scatterlist', ['page_link', 'length']);
  }

  /** @throws {ReadError} */
  *entries(address: bigint): Generator<Entry> {
    const msg = this.#msg.read(address);
    const skb = msg.pointer('skb');
    if (skb !== 0n) {
      // Its pages belong to the skb.
      yield skb;
      return;
    }
    // Two more entries than an skb has frags; the last one is for chaining (NR_MSG_FRAG_IDS).
    const slots = (this.#msg.members['sg.data'].count ?? 1) - 1;
    const [start, end] = [msg.number('sg.start'), msg.number('sg.end')];
    if (start >= slots || end >= slots) {
      throw damaged(`the message at ${hex(address)} runs from ${start} to ${end} of ${slots}`);
    }
    const first = msg.addressOf('sg.data');
    for (let index = start; index !== end; index = (index + 1) % slots) {
      const view = this.#entry.read(this.#entry.element(first, index));
      const page = scatterlistPage(view.pointer('page_link'));
      if (page !== undefined) yield { kind: 'page', page, payload: view.number('length') };
    }
  }
}
