import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { QueueName } from '../../records/queues.js';
import type { PageBlock } from '../pages/block.js';
import type { PageReader } from '../pages/pages.js';
import type { SkbReader } from '../skbs/skb.js';
import type { SkbSink } from '../skbs/skb-slots.js';
import { incompleteness } from '../warnings.js';

/** A queue of a sock: iterates over its skbs and other memory; see walkQueue in ../queues.ts. */
export interface Queue {
  readonly name: QueueName;
  /** Number of skbs according to the kernel, undefined if it keeps no count. */
  readonly expected: number | undefined;
  readonly entries: () => Iterable<Entry>;
}

/** Protocols whose socks are a `struct udp_sock`. */
export const UDP: readonly string[] = ['UDP', 'UDPLITE'];

/** Properties of a sock that its queues depend on. */
export interface SockKind {
  readonly sock: bigint;
  readonly family: string;
  readonly type: string;
  readonly protocol: string;
  readonly state: string;
}

/** Finds queues that only some socks have. A queue that cannot be reached throws when it is walked. */
export interface QueueFinder {
  queues(sock: bigint): Queue[];
}

/** A queue that reports, when walked, that its content was not read. */
export function unreadQueue(what: string): Queue {
  const entries = (): never => {
    throw unsupportedLayout(`${what} sockets have their own queues, which kdump-mem does not support`);
  };
  return { name: 'own', expected: undefined, entries };
}

/**
 * Memory of a queue beside skbs: a block of a ring, a page of a message, a page lent by user space. Payload
 * is the unread or unsent part, in bytes; 0 if unknown.
 */
export type Held = HeldPage | HeldObject | HeldSkb;

export interface HeldPage {
  readonly kind: 'page';
  /** Address of the `struct page` in which it starts; may be a tail of a compound page. */
  readonly page: bigint;
  readonly payload: number;
}

/** An allocation: a slab slot, or complete pages. */
export interface HeldObject {
  readonly kind: 'object';
  /** Direct-map address. */
  readonly address: bigint;
  readonly payload: number;
}

/** An skb kept for the sake of another one: its bytes are the same. */
export interface HeldSkb {
  readonly kind: 'skb';
  readonly address: bigint;
  readonly payload: number;
}

/** An entry of a queue: the address of an skb, or other memory. */
export type Entry = bigint | Held;

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
