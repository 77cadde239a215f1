import { damaged } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { PageBlock } from '../pages/block.js';
import type { PageReader } from '../pages/pages.js';
import type { SkbReader } from '../skbs/skb.js';
import type { SkbSink } from '../skbs/skb-slots.js';
import { incompleteness } from '../warnings.js';
import type { Held } from './queue.js';

/** Follows memory that a queue holds without an skb to its pages and slots. */
export class HeldReader {
  readonly #kernel: Kernel;
  readonly #pages: PageReader;
  readonly #skbs: SkbReader;

  constructor(kernel: Kernel, pages: PageReader, skbs: SkbReader) {
    this.#kernel = kernel;
    this.#pages = pages;
    this.#skbs = skbs;
  }

  /** Passes references to the sink; an unreadable one makes the answer incomplete. */
  read(held: Held, sink: SkbSink): void {
    try {
      if (held.kind === 'page') this.#page(held.page, sink);
      else if (held.kind === 'skb') this.#skbs.read(held.address, sink);
      else this.#object(held.address, sink);
    } catch (error) {
      const at = held.kind === 'page' ? held.page : held.address;
      const code = incompleteness(error);
      sink.incomplete(code, `${held.kind} ${hex(at)}: ${(error as Error).message}`);
    }
  }

  #page(page: bigint, sink: SkbSink): void {
    const block = this.#pages.block(page);
    if (block.kind === 'slab') {
      throw damaged('a queue holds it as a page, but it belongs to a slab');
    }
    reportPage(block, sink);
  }

  #object(address: bigint, sink: SkbSink): void {
    const page = this.#kernel.pages.pageOf(address);
    if (page === undefined) {
      sink.incomplete(
        'head-not-counted',
        `${hex(address)} is not in the direct map; the memory that it pins was not counted`,
      );
      return;
    }
    const block = this.#pages.block(page);
    if (block.kind === 'page') reportPage(block, sink);
    else sink.soleSlot(block.cache, address);
  }
}

function reportPage({ frame, order, references, free, pool }: PageBlock, sink: SkbSink): void {
  if (free) throw damaged('its page is free');
  sink.page(frame, order, references, undefined, pool);
}
