import { damaged, ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import type { PagePool } from '../pages/page-pool.js';
import type { PageReader } from '../pages/pages.js';
import type { SlabCache } from '../pages/slab-caches.js';
import { type StructCursor, StructReader } from '../struct-reader.js';
import { incompleteness, type WarningCode } from '../warnings.js';

/** `skb->fclone` of an skb outside fclone pairs, and of the second skb of a pair. */
const FCLONE_UNAVAILABLE = 0;
const FCLONE_CLONE = 2;

const FCLONE_FIELDS = ['fclone_ref.refs.counter', 'skb2'] as const;

/** A `struct sk_buff` and its holder. */
export interface SkbObject {
  readonly address: bigint;
  /** `skb->fclone`. */
  readonly fclone: number;
  /** Number of additional references to the same skb. */
  readonly others: number;
  /** The shared info of clones whose frag_list contains it, if any. */
  readonly outer: bigint | undefined;
}

/** Owner of a linear head. */
export interface HeldHead {
  /** The shared info of clones that holds it, if any. */
  readonly via: bigint | undefined;
  readonly clones: number;
  /** No clone has reported it before. */
  readonly first: boolean;
}

/** Memory of skbs and of their linear heads: slab slots, or separate pages. */
export class SkbSlots {
  readonly #kernel: Kernel;
  readonly #pages: PageReader;
  #fclones: StructCursor<(typeof FCLONE_FIELDS)[number]> | undefined;
  /** Offset from the first skb of a pair to the second, in bytes. */
  #second = 0n;
  readonly #object = new Pointer();

  constructor(kernel: Kernel, pages: PageReader) {
    this.#kernel = kernel;
    this.#pages = pages;
  }

  /** Passes the slot of the sk_buff itself to the sink. */
  object(skb: SkbObject, sink: SkbSink): void {
    const { address, fclone, others, outer } = skb;
    const row = this.#rowAt(this.#object.set(address), sink);
    if (row < 0) return;
    const cache = this.#pages.cacheOf(row);
    // skbs have their own slab caches (net/core/skbuff.c).
    if (cache === undefined) throw damaged('it lies in no slab');
    if (fclone !== FCLONE_UNAVAILABLE) {
      this.#pair(row, skb, sink);
    } else if (others === 0 && outer === undefined) {
      sink.soleSlot(cache, address);
    } else {
      sink.slot(address, cache, 1 + others, outer);
    }
  }

  /** Both of an fclone pair are in one slot, which is freed with the second. */
  #pair(row: number, { address, fclone, others, outer }: SkbObject, sink: SkbSink): void {
    if (this.#fclones === undefined) {
      const reader = new StructReader(this.#kernel, 'sk_buff_fclones', FCLONE_FIELDS);
      this.#second = BigInt(reader.offset('skb2'));
      this.#fclones = reader.cursor();
    }
    const pair = fclone === FCLONE_CLONE ? address - this.#second : address;
    if (!this.#pages.inOneSlot(row, pair, address)) {
      throw damaged('it is the second of a pair without a first');
    }
    const counted = this.#fclones.to(pair).number('fclone_ref.refs.counter');
    if (counted !== 1 && counted !== 2) throw damaged(`${counted | 0} of its pair are in use`);
    const cache = this.#pages.cacheOf(row)!;
    if (counted + others <= 1 && outer === undefined) sink.soleSlot(cache, pair);
    else sink.slot(pair, cache, counted + others, outer);
  }

  /** Passes the linear head to the sink: a slab slot, or (large kmalloc, page fragment) a page. */
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

  /** Returns the row of the page of an address; -1 with a warning if the page is unknown. */
  #rowAt(at: Pointer, sink: SkbSink): number {
    const frame = this.#kernel.pages.frameOf(at);
    if (frame >= 0) return this.#pages.row(frame);
    sink.incomplete(
      'head-not-counted',
      `${hex(at.address)} is not in the direct map; the memory that it pins was not counted`,
    );
    return -1;
  }

  #wholePage(row: number, via: bigint | undefined, sink: SkbSink): void {
    const pages = this.#pages;
    if (pages.isFree(row)) throw damaged('its page is free');
    const [head, order] = [pages.headOf(row), pages.orderOf(row)];
    sink.page(head, order, pages.referencesOf(row), via, pages.poolOf(row));
  }
}

/**
 * Receives all memory that skbs pin, reference by reference; it counts each thing once.
 *
 * Contents of a `skb_shared_info` are held by all clones of the skb together: `via` names the shared info if
 * there are clones, and is undefined for a single skb.
 */
export interface SkbSink {
  /** Receives a reference to a page allocation, from a frag or as a linear head; see PageBlock. */
  page(frame: number, order: number | undefined, references: number, via: bigint | undefined, pool?: PagePool): void;
  /** Receives a page that frags point to without holding a reference. */
  lentPage(frame: number, order: number | undefined, references: number, pool?: PagePool): void;
  /**
   * Receives a slab slot: an skb itself, or a linear head. `references` is the number of references that must
   * be dropped before the slot is freed, including this one.
   */
  slot(address: bigint, cache: SlabCache, references: number, via: bigint | undefined): void;
  /**
   * Receives a slot with only this reference and without clones: no other path leads to it. `place`: its
   * current location.
   */
  soleSlot(cache: SlabCache, place: bigint | Pointer): void;
  /**
   * Reports a clone of an skb: one of `clones` skbs that share the info at this address. Returns false if a
   * clone was reported before, so the memory of the info is already counted.
   */
  clone(sharedInfo: bigint, clones: number): boolean;
  /** Receives the number of frags in the shared info of clones, including its frag_list. */
  cloneFrags(sharedInfo: bigint, frags: number): void;
  /** Reports that a part of the memory that an skb pins is unknown. */
  incomplete(code: WarningCode, message: string): void;
  /** An anomaly that does not affect the figures. */
  remark(code: WarningCode, message: string): void;
}

/**
 * Reports that a step failed because memory is missing or damaged. The message about missing memory is the
 * same for all skbs that refer to it, so it is listed once.
 */
export function reportTo(skb: bigint, what: string, error: unknown, sink: SkbSink): void {
  const code = incompleteness(error);
  const { message } = error as Error;
  const where = error instanceof ReadError ? '' : `skb ${hex(skb)}: ${what}: `;
  sink.incomplete(code, `${where}${message}`);
}
