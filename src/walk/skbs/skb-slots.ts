import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import type { PageReader } from '../pages/pages.js';
import { type StructCursor, StructReader } from '../struct-reader.js';
import type { SkbSink } from './skb-sink.js';

/** `skb->fclone` of an skb that is not one of a pair, and of the second of a pair. */
const FCLONE_UNAVAILABLE = 0;
const FCLONE_CLONE = 2;

const FCLONE_FIELDS = ['fclone_ref.refs.counter', 'skb2'] as const;

/** A `struct sk_buff` and who has it. */
export interface SkbObject {
  readonly address: bigint;
  /** `skb->fclone`. */
  readonly fclone: number;
  /** How many others have it as well. */
  readonly others: number;
  /** The shared info of clones in whose frag_list it hangs, if it does. */
  readonly outer: bigint | undefined;
}

/** Who has a linear head. */
export interface HeldHead {
  /** The shared info of clones that holds it, if one does. */
  readonly via: bigint | undefined;
  readonly clones: number;
  /** None of the clones has told of it before. */
  readonly first: boolean;
}

/** Where skbs themselves and their linear heads lie: in slots of slabs, or in pages of their own. */
export class SkbSlots {
  readonly #kernel: Kernel;
  readonly #pages: PageReader;
  #fclones: StructCursor<(typeof FCLONE_FIELDS)[number]> | undefined;
  /** From the first of a pair to its second, in bytes. */
  #second = 0n;
  readonly #object = new Pointer();

  constructor(kernel: Kernel, pages: PageReader) {
    this.#kernel = kernel;
    this.#pages = pages;
  }

  /** The sk_buff itself. */
  object(skb: SkbObject, sink: SkbSink): void {
    const { address, fclone, others, outer } = skb;
    const row = this.#rowAt(this.#object.set(address), sink);
    if (row < 0) return;
    const cache = this.#pages.cacheOf(row);
    // skbs come from slabs of their own (net/core/skbuff.c).
    if (cache === undefined) throw new KernelError('damaged', 'it lies in no slab');
    if (fclone !== FCLONE_UNAVAILABLE) {
      this.#pair(row, skb, sink);
    } else if (others === 0 && outer === undefined) {
      sink.soleSlot(cache, address);
    } else {
      sink.slot(address, cache, 1 + others, outer);
    }
  }

  /** The two of an fclone pair lie in one slot, which both must leave. */
  #pair(row: number, { address, fclone, others, outer }: SkbObject, sink: SkbSink): void {
    if (this.#fclones === undefined) {
      const reader = new StructReader(this.#kernel, 'sk_buff_fclones', FCLONE_FIELDS);
      this.#second = BigInt(reader.offset('skb2'));
      this.#fclones = reader.cursor();
    }
    const pair = fclone === FCLONE_CLONE ? address - this.#second : address;
    if (!this.#pages.inOneSlot(row, pair, address)) {
      throw new KernelError('damaged', 'it is the second of a pair, and there is no first');
    }
    const counted = this.#fclones.to(pair).number('fclone_ref.refs.counter');
    if (counted !== 1 && counted !== 2) {
      throw new KernelError('damaged', `${counted | 0} of its pair are in use`);
    }
    const cache = this.#pages.cacheOf(row)!;
    if (counted + others <= 1 && outer === undefined) sink.soleSlot(cache, pair);
    else sink.slot(pair, cache, counted + others, outer);
  }

  /** The linear head: a slab slot, or (large kmalloc, page fragment) a page. */
  head(head: Pointer, { via, clones, first }: HeldHead, sink: SkbSink): void {
    const row = this.#rowAt(head, sink);
    if (row < 0) return;
    const cache = this.#pages.cacheOf(row);
    if (cache === undefined) {
      if (first) this.#wholePage(row, via, sink);
    } else if (clones > 1) {
      sink.slot(head.address, cache, clones, undefined);
    } else if (via !== undefined) {
      sink.slot(head.address, cache, 1, via);
    } else {
      sink.soleSlot(cache, head);
    }
  }

  /** The row of the page that an address lies in; -1, and told, if it is in none that is known. */
  #rowAt(at: Pointer, sink: SkbSink): number {
    const frame = this.#kernel.pages.frameOf(at);
    if (frame >= 0) return this.#pages.row(frame);
    sink.incomplete(
      'head-not-counted',
      `${hex(at.address)} is not in the direct map; what it pins was not counted`,
    );
    return -1;
  }

  #wholePage(row: number, via: bigint | undefined, sink: SkbSink): void {
    const pages = this.#pages;
    if (pages.isFree(row)) throw new KernelError('damaged', 'its page is free');
    const [head, order] = [pages.headOf(row), pages.orderOf(row)];
    sink.page(head, order, pages.referencesOf(row), via, pages.poolOf(row));
  }
}
