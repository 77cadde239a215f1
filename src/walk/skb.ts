import { KernelError } from '../kernel/error.js';
import type { Kernel } from '../kernel/kernel.js';
import { type Frag, type FragLayout, fragLayout } from './frag.js';
import { incompleteness } from './incompleteness.js';
import type { Block, PageBlock, PageReader, SlabBlock } from './pages.js';
import { StructReader, type StructView } from './struct-reader.js';
import type { WarningCode } from './warnings.js';

/** One entry of a queue. */
export interface Skb {
  /** Address of its `struct sk_buff`. */
  readonly address: bigint;
  /** Payload: `skb->len`, bytes. */
  readonly length: number;
  /** What the socket is charged for it: `skb->truesize`, bytes. */
  readonly truesize: number;
  /** Entries of `frags`, in it and in the skbs of its frag_list. */
  readonly frags: number;
}

/**
 * Told of all that skbs pin, reference by reference; the receiver counts each thing once.
 *
 * What hangs in a `skb_shared_info` is held by all clones of the skb together: `via` names the
 * shared info where there are clones, and is undefined where the skb is the only one.
 */
export interface SkbSink {
  /** A reference to a page allocation, by a frag or as a linear head. */
  page(block: PageBlock, via: bigint | undefined): void;
  /**
   * A slot of a slab: an skb itself, or a linear head. `references` is how many must be dropped
   * before the slot is free; this is one of them.
   */
  slot(address: bigint, slab: SlabBlock, references: number): void;
  /**
   * A clone of an skb was met, one of so many that share the info at this address. Gives false if
   * one was met before: then what hangs in it has been told.
   */
  clone(sharedInfo: bigint, clones: number): boolean;
  /** Something that an skb pins could not be told. */
  incomplete(code: WarningCode, message: string): void;
  /** Something odd that leaves the figures whole. */
  remark(code: WarningCode, message: string): void;
}

/** What hangs in a shared info: how many frags, and the bytes that they are to hold. */
interface Paged {
  frags: number;
  bytes: number;
}

/** How deep a frag_list may hang in another; the kernel nests two (GRO's list in a forwarded one). */
const MAX_FRAG_LIST_DEPTH = 8;

/** More skbs than this in one frag_list are damage: GRO and IP fragments stay far below. */
const MAX_FRAG_LIST_LENGTH = 65_536;

/** `skb->fclone` of an skb that is not one of a pair. */
const FCLONE_UNAVAILABLE = 0;

/** `MAX_SKB_FRAGS` cannot be configured beyond this (net/Kconfig). */
const MAX_CONFIGURABLE_FRAGS = 45;

const SKB_FIELDS = [
  'len',
  'data_len',
  'truesize',
  'head',
  'data',
  'tail',
  'end',
  'cloned',
  'fclone',
  'users.refs.counter',
] as const;
// Not `frags`: of the array only the entries in use are read; behind them lies what was there before.
const SHARED_FIELDS = ['nr_frags', 'frag_list', 'dataref.counter'] as const;
type SkbField = (typeof SKB_FIELDS)[number];
type SharedField = (typeof SHARED_FIELDS)[number];

/**
 * Follows an skb to what it pins: its `sk_buff` object, its linear head, and through the
 * `skb_shared_info` at `head + end` its frags and the skbs of its frag_list
 * (include/linux/skbuff.h; `end` is an offset on 64-bit kernels).
 */
export class SkbReader {
  readonly #kernel: Kernel;
  readonly #pages: PageReader;
  readonly #skb;
  readonly #next;
  readonly #shared;
  #fclones: StructReader<'fclone_ref.refs.counter'> | undefined;
  readonly #frag: FragLayout;
  readonly #fragsAt: bigint;
  readonly #maxFrags: number;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel, pages: PageReader) {
    this.#kernel = kernel;
    this.#pages = pages;
    this.#skb = new StructReader(kernel, 'sk_buff', SKB_FIELDS, true);
    this.#next = new StructReader(kernel, 'sk_buff', ['next']);
    this.#shared = new StructReader(kernel, 'skb_shared_info', SHARED_FIELDS);
    this.#frag = fragLayout(kernel);
    const { frags } = new StructReader(kernel, 'skb_shared_info', ['frags']).members;
    this.#fragsAt = BigInt(frags.offset);
    this.#maxFrags = Math.min(frags.count ?? 0, MAX_CONFIGURABLE_FRAGS);
  }

  /**
   * Reads one queue entry and tells the sink what it pins.
   *
   * @throws {ReadError} if the `sk_buff` itself cannot be read. What cannot be read behind it makes
   *   the answer incomplete instead.
   */
  read(address: bigint, sink: SkbSink): Skb {
    const view = this.#skb.read(address);
    return {
      address,
      length: view.number('len'),
      truesize: view.number('truesize'),
      frags: this.#follow(view, sink, 0),
    };
  }

  /** Gives the number of frags met. */
  #follow(skb: StructView<SkbField>, sink: SkbSink, depth: number): number {
    const { address } = skb;
    this.#try(address, 'its slab slot', sink, () => this.#object(skb, sink));
    const head = skb.pointer('head');
    const shared = head + BigInt(skb.number('end'));
    let frags = 0;
    this.#try(address, 'what it holds', sink, () => {
      // It begins with a pointer's alignment, whatever the head is (SKB_DATA_ALIGN).
      if (shared % 8n !== 0n) {
        throw new KernelError('damaged', `its shared info would be at 0x${shared.toString(16)}`);
      }
      const info = this.#shared.read(shared);
      // The low half counts all references, the high half those that keep off the headers.
      const clones = skb.number('cloned') ? info.number('dataref.counter') % 65_536 : 1;
      const via = clones > 1 ? shared : undefined;
      const first = via === undefined || sink.clone(shared, clones);
      this.#try(address, 'its head', sink, () => this.#head(head, via, clones, first, sink));
      this.#try(address, 'its length', sink, () => checkLinear(skb));
      if (!first) return;
      const paged = this.#frags(address, info, via, sink);
      frags += paged.frags;
      const list = info.pointer('frag_list');
      const listed = { frags: 0, bytes: 0 };
      if (list !== 0n) this.#fragList(list, sink, depth + 1, listed);
      frags += listed.frags;
      this.#try(address, 'its length', sink, () => checkPaged(skb, paged.bytes, listed.bytes));
    });
    return frags;
  }

  /** The sk_buff itself. The two of an fclone pair lie in one slot, which both must leave. */
  #object(skb: StructView<SkbField>, sink: SkbSink): void {
    const block = this.#block(skb.address, sink);
    if (!block) return;
    if (block.kind === 'page') {
      sink.page(block, undefined);
      return;
    }
    if (skb.number('fclone') === FCLONE_UNAVAILABLE) {
      sink.slot(skb.address, block, skb.number('users.refs.counter'));
      return;
    }
    this.#fclones ??= new StructReader(this.#kernel, 'sk_buff_fclones', [
      'fclone_ref.refs.counter',
    ]);
    const pair = slotOf(skb.address, block);
    sink.slot(pair, block, this.#fclones.read(pair).number('fclone_ref.refs.counter'));
  }

  /** The linear head: a slab slot, or (large kmalloc, page fragment) a page. */
  #head(
    head: bigint,
    via: bigint | undefined,
    clones: number,
    first: boolean,
    sink: SkbSink,
  ): void {
    const block = this.#block(head, sink);
    if (block?.kind === 'slab') sink.slot(head, block, clones);
    else if (block && first) sink.page(block, via);
  }

  #block(address: bigint, sink: SkbSink): Block | undefined {
    const page = this.#kernel.pageOf(address);
    if (page !== undefined) return this.#pages.block(page);
    sink.incomplete(
      'head-not-counted',
      `0x${address.toString(16)} is not in the direct map; what it pins was not counted`,
    );
    return undefined;
  }

  #frags(
    skb: bigint,
    info: StructView<SharedField>,
    via: bigint | undefined,
    sink: SkbSink,
  ): Paged {
    const count = info.number('nr_frags');
    if (count > this.#maxFrags) {
      throw new KernelError(
        'damaged',
        `nr_frags is ${count}, and the array holds ${this.#maxFrags}`,
      );
    }
    if (count === 0) return { frags: 0, bytes: 0 };
    let length = 0;
    const bytes = this.#kernel.read(info.address + this.#fragsAt, count * this.#frag.stride);
    for (let index = 0; index < count; index++) {
      const frag = this.#frag.at(bytes, index * this.#frag.stride);
      length += frag.length;
      if (frag.deviceMemory) {
        sink.remark(
          'device-memory',
          'some frags lie in device memory (net_iov); they pin no page of this machine',
        );
        continue;
      }
      this.#try(skb, `frag ${index}`, sink, () => this.#page(frag, via, sink));
    }
    return { frags: count, bytes: length };
  }

  #page(frag: Frag, via: bigint | undefined, sink: SkbSink): void {
    const block = this.#pages.block(frag.page);
    if (block.kind === 'slab') {
      // sendpage of slab memory is forbidden (sendpage_ok), so this is damage or a freed page.
      throw new KernelError('damaged', `its page 0x${frag.page.toString(16)} belongs to a slab`);
    }
    if (block.order === 0 && frag.offset + frag.length > this.#kernel.facts.pageSize) {
      // Not compound, yet longer than a page: an allocation that does not record its order.
      sink.page({ ...block, order: undefined }, via);
    } else {
      sink.page(block, via);
    }
  }

  /** The skbs that hang in a frag_list, linked by `next` and ended by NULL; adds to `met`. */
  #fragList(first: bigint, sink: SkbSink, depth: number, met: Paged): void {
    if (depth > MAX_FRAG_LIST_DEPTH) {
      throw new KernelError('damaged', `frag_lists are nested deeper than ${MAX_FRAG_LIST_DEPTH}`);
    }
    const seen = new Set<bigint>();
    for (let skb = first; skb !== 0n; ) {
      if (seen.has(skb) || seen.size >= MAX_FRAG_LIST_LENGTH) {
        throw new KernelError('damaged', `the frag_list at 0x${first.toString(16)} has no end`);
      }
      seen.add(skb);
      const view = this.#skb.read(skb);
      met.frags += this.#follow(view, sink, depth);
      met.bytes += view.number('len');
      skb = this.#next.read(skb).pointer('next');
    }
  }

  /** Runs a step; what memory denies it or damage forbids becomes a warning. */
  #try(skb: bigint, what: string, sink: SkbSink, step: () => void): void {
    try {
      step();
    } catch (error) {
      const code = incompleteness(error);
      sink.incomplete(code, `skb 0x${skb.toString(16)}: ${what}: ${(error as Error).message}`);
    }
  }
}

/** What `len` counts besides the linear part is between `data` and `tail` (skb_headlen). */
function checkLinear(skb: StructView<SkbField>): void {
  if (skb.number('tail') > skb.number('end')) {
    const message = `its data ends at ${skb.number('tail')}, its head at ${skb.number('end')}`;
    throw new KernelError('damaged', message);
  }
  const claimed = skb.number('len') - skb.number('data_len');
  const linear = skb.number('tail') - Number(skb.pointer('data') - skb.pointer('head'));
  if (claimed === linear) return;
  throw new KernelError(
    'damaged',
    `it counts ${claimed} bytes in its head, where ${linear} lie between data and tail`,
  );
}

/** `data_len` counts the frags and the frag_list; netlink's own use of the list it leaves out. */
function checkPaged(skb: StructView<SkbField>, frags: number, list: number): void {
  const claimed = skb.number('data_len');
  if (claimed === frags + list || claimed === frags) return;
  throw new KernelError(
    'damaged',
    `it counts ${claimed} bytes outside its head, its frags and frag_list have ${frags + list}`,
  );
}

/** The slot that an object lies in: for an fclone pair, of both. */
export function slotOf(address: bigint, { start, slotSize }: SlabBlock): bigint {
  return address - ((address - start) % BigInt(slotSize));
}
