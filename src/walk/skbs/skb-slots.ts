import { KernelError } from '../../kernel/error.js';
import { highHalf, joinHalves, lowHalf } from '../../kernel/halves.js';
import type { Kernel, Place } from '../../kernel/kernel.js';
import type { PageReader } from '../pages/pages.js';
import { numberAt, StructReader } from '../struct-reader.js';
import type { SkbSink } from './skb-sink.js';

/** `skb->fclone` of an skb that is not one of a pair, and of the second of a pair. */
const FCLONE_UNAVAILABLE = 0;
const FCLONE_CLONE = 2;

const FCLONE_FIELDS = ['fclone_ref.refs.counter', 'skb2'] as const;

/** Where skbs themselves and their linear heads lie: in slots of slabs, or in pages of their own. */
export class SkbSlots {
  readonly #kernel: Kernel;
  readonly #pages: PageReader;
  #fclones: StructReader<(typeof FCLONE_FIELDS)[number]> | undefined;
  readonly #place: Place = { view: new DataView(new ArrayBuffer(0)), base: 0 };

  constructor(kernel: Kernel, pages: PageReader) {
    this.#kernel = kernel;
    this.#pages = pages;
  }

  /** The sk_buff itself, which so many others have as well. */
  object(
    address: bigint,
    fclone: number,
    others: number,
    outer: bigint | undefined,
    sink: SkbSink,
  ): void {
    const row = this.#rowAt(highHalf(address), lowHalf(address), sink);
    if (row < 0) return;
    const cache = this.#pages.cacheOf(row);
    // skbs come from slabs of their own (net/core/skbuff.c).
    if (cache === undefined) throw new KernelError('damaged', 'it lies in no slab');
    if (fclone !== FCLONE_UNAVAILABLE) {
      this.#pair(row, address, fclone === FCLONE_CLONE, others, outer, sink);
    } else if (others === 0 && outer === undefined) {
      sink.soleSlot(cache);
    } else {
      sink.slot(address, cache, 1 + others, outer);
    }
  }

  /** The two of an fclone pair lie in one slot, which both must leave. */
  #pair(
    row: number,
    address: bigint,
    second: boolean,
    others: number,
    outer: bigint | undefined,
    sink: SkbSink,
  ): void {
    this.#fclones ??= new StructReader(this.#kernel, 'sk_buff_fclones', FCLONE_FIELDS);
    const pair = second ? address - BigInt(this.#fclones.offset('skb2')) : address;
    if (!this.#pages.inOneSlot(row, pair, address)) {
      throw new KernelError('damaged', 'it is the second of a pair, and there is no first');
    }
    this.#fclones.locate(highHalf(pair), lowHalf(pair), this.#place);
    const counted = numberAt(this.#place, this.#fclones.members['fclone_ref.refs.counter']);
    if (counted !== 1 && counted !== 2) {
      throw new KernelError('damaged', `${counted | 0} of its pair are in use`);
    }
    const cache = this.#pages.cacheOf(row)!;
    if (counted + others <= 1 && outer === undefined) sink.soleSlot(cache);
    else sink.slot(pair, cache, counted + others, outer);
  }

  /** The linear head: a slab slot, or (large kmalloc, page fragment) a page. */
  head(
    high: number,
    low: number,
    via: bigint | undefined,
    clones: number,
    first: boolean,
    sink: SkbSink,
  ): void {
    const row = this.#rowAt(high, low, sink);
    if (row < 0) return;
    const cache = this.#pages.cacheOf(row);
    if (cache === undefined) {
      if (first) this.#wholePage(row, via, sink);
    } else if (clones > 1) {
      sink.slot(joinHalves(high, low), cache, clones, undefined);
    } else if (via !== undefined) {
      sink.slot(joinHalves(high, low), cache, 1, via);
    } else {
      sink.soleSlot(cache);
    }
  }

  /** The row of the page that an address lies in; -1, and told, if it is in none that is known. */
  #rowAt(high: number, low: number, sink: SkbSink): number {
    const frame = this.#kernel.frameOf(high, low);
    if (frame >= 0) return this.#pages.row(frame);
    const address = joinHalves(high, low).toString(16);
    sink.incomplete(
      'head-not-counted',
      `0x${address} is not in the direct map; what it pins was not counted`,
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
