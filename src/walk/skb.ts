import { KernelError } from '../kernel/error.js';
import { highHalf, joinHalves, lowHalf } from '../kernel/halves.js';
import type { Kernel, Place } from '../kernel/kernel.js';
import type { MemberLayout } from '../kernel/layout.js';
import { deviceTest, type FragLayout, fragLayout, NET_IOV } from './frag.js';
import { incompleteness } from './incompleteness.js';
import type { PageReader, SlabCache } from './pages.js';
import { numberAt, StructReader } from './struct-reader.js';
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
  /** A reference to a page allocation, by a frag or as a linear head; see PageBlock. */
  page(frame: number, order: number | undefined, references: number, via: bigint | undefined): void;
  /** A page that frags point into without a reference of their own. */
  lentPage(frame: number, order: number | undefined, references: number): void;
  /**
   * A slot of a slab: an skb itself, or a linear head. `references` is how many must be dropped
   * before the slot is free; this is one of them.
   */
  slot(address: bigint, cache: SlabCache, references: number, via: bigint | undefined): void;
  /** A slot that this reference alone holds, and no clone: nobody else can lead to it. */
  soleSlot(cache: SlabCache): void;
  /**
   * A clone of an skb was met, one of so many that share the info at this address. Gives false if
   * one was met before: then what hangs in it has been told.
   */
  clone(sharedInfo: bigint, clones: number): boolean;
  /** How many frags hang in the info of clones, those of its frag_list included. */
  cloneFrags(sharedInfo: bigint, frags: number): void;
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

/** `skb->fclone` of an skb that is not one of a pair, and of the second of a pair. */
const FCLONE_UNAVAILABLE = 0;
const FCLONE_CLONE = 2;

const FCLONE_FIELDS = ['fclone_ref.refs.counter', 'skb2'] as const;

/**
 * SKBFL_MANAGED_FRAG_REFS in `skb_shared_info.flags`: io_uring holds the pages of a buffer registered
 * with it for as long as it is sent, and frags take no references (6.0; nothing had the bit before).
 */
const MANAGED_FRAGS = 16;

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
  /** `skb_shared_info.flags`, since 5.13. */
  readonly #flags: MemberLayout | undefined;
  #fclones: StructReader<(typeof FCLONE_FIELDS)[number]> | undefined;
  readonly #frag: FragLayout;
  #isDevice: ((netmem: bigint) => boolean) | undefined;
  readonly #fragsAt: number;
  readonly #maxFrags: number;
  /** The frags that are being followed, while their pages are read. */
  readonly #entries: DataView;
  /** Where the struct lies that is being read; whatever follows another skb reads all it needs before. */
  readonly #place: Place = { view: new DataView(new ArrayBuffer(0)), base: 0 };

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel, pages: PageReader) {
    this.#kernel = kernel;
    this.#pages = pages;
    this.#skb = new StructReader(kernel, 'sk_buff', SKB_FIELDS, true);
    this.#next = new StructReader(kernel, 'sk_buff', ['next']);
    const flags = kernel.struct('skb_shared_info')?.member('flags') ? (['flags'] as const) : [];
    const shared = new StructReader(kernel, 'skb_shared_info', [...SHARED_FIELDS, ...flags]);
    this.#shared = shared;
    this.#flags = flags.length > 0 ? shared.members.flags : undefined;
    this.#frag = fragLayout(kernel);
    const { frags } = new StructReader(kernel, 'skb_shared_info', ['frags']).members;
    this.#fragsAt = frags.offset;
    this.#maxFrags = Math.min(frags.count ?? 0, MAX_CONFIGURABLE_FRAGS);
    this.#entries = new DataView(new ArrayBuffer(this.#maxFrags * this.#frag.stride));
  }

  /**
   * Reads one queue entry and tells the sink what it pins.
   *
   * @throws {ReadError} if the `sk_buff` itself cannot be read. What cannot be read behind it makes
   *   the answer incomplete instead.
   */
  read(address: bigint, sink: SkbSink): Skb {
    return this.#follow(address, sink, 0, undefined);
  }

  /**
   * Of the skb at the end of a chain of frag_lists: `depth` says how deep, `outer` the shared info
   * of clones that holds it, if one does.
   */
  #follow(address: bigint, sink: SkbSink, depth: number, outer: bigint | undefined): Skb {
    const place = this.#place;
    this.#skb.locate(highHalf(address), lowHalf(address), place);
    const { members } = this.#skb;
    const { view } = place;
    const head = place.base + members.head.offset;
    const low = view.getUint32(head, true);
    const high = view.getUint32(head + 4, true);
    const data = place.base + members.data.offset;
    const lengths = {
      length: numberAt(place, members.len),
      paged: numberAt(place, members.data_len),
      tail: numberAt(place, members.tail),
      end: numberAt(place, members.end),
      headroom:
        (view.getUint32(data + 4, true) - high) * 0x1_0000_0000 +
        (view.getUint32(data, true) - low),
    };
    const truesize = numberAt(place, members.truesize);
    const cloned = numberAt(place, members.cloned) !== 0;
    const fclone = numberAt(place, members.fclone);
    // Who else has the skb itself keeps all that it holds.
    const others = Math.max(0, numberAt(place, members['users.refs.counter']) - 1);
    try {
      this.#object(address, fclone, others, outer, sink);
    } catch (error) {
      tell(address, 'its slab slot', error, sink);
    }
    const met: Paged = { frags: 0, bytes: 0 };
    try {
      this.#held(address, high, low, cloned, others, lengths, met, sink, depth, outer);
    } catch (error) {
      tell(address, 'what it holds', error, sink);
    }
    return { address, length: lengths.length, truesize, frags: met.frags };
  }

  /** What hangs on the head at an address in halves; adds the frags met to `met`. */
  #held(
    address: bigint,
    high: number,
    low: number,
    cloned: boolean,
    others: number,
    lengths: Lengths,
    met: Paged,
    sink: SkbSink,
    depth: number,
    outer: bigint | undefined,
  ): void {
    const into = low + lengths.end;
    const infoLow = into % 0x1_0000_0000;
    const infoHigh = into === infoLow ? high : (high + 1) >>> 0;
    // It begins with a pointer's alignment, whatever the head is (SKB_DATA_ALIGN).
    if (infoLow % 8 !== 0) {
      const shared = joinHalves(infoHigh, infoLow).toString(16);
      throw new KernelError('damaged', `its shared info would be at 0x${shared}`);
    }
    const place = this.#place;
    this.#shared.locate(infoHigh, infoLow, place);
    const { members } = this.#shared;
    // The low half counts all references, the high half those that keep off the headers.
    const counted = cloned ? numberAt(place, members['dataref.counter']) % 65_536 : 1;
    const sole = counted + others <= 1;
    // Clones within what clones share: one more that is nowhere found, so that they stay shared.
    const clones = counted + others + (sole || outer === undefined ? 0 : 1);
    const count = numberAt(place, members.nr_frags);
    const list = place.view.getBigUint64(place.base + members.frag_list.offset, true);
    const lent = this.#flags !== undefined && (numberAt(place, this.#flags) & MANAGED_FRAGS) !== 0;
    const via = sole ? outer : joinHalves(infoHigh, infoLow);
    const first = sole || via === undefined || sink.clone(via, clones);
    try {
      this.#head(high, low, via, clones, first, sink);
    } catch (error) {
      tell(address, 'its head', error, sink);
    }
    try {
      checkLinear(lengths);
    } catch (error) {
      tell(address, 'its length', error, sink);
    }
    if (!first) return;
    if (count > this.#maxFrags) {
      const message = `nr_frags is ${count}, and the array holds ${this.#maxFrags}`;
      throw new KernelError('damaged', message);
    }
    const bytes = count === 0 ? 0 : this.#frags(address, infoHigh, infoLow, count, via, lent, sink);
    met.frags += count;
    const listed = { frags: 0, bytes: 0 };
    if (list !== 0n) this.#fragList(list, sink, depth + 1, via, listed);
    met.frags += listed.frags;
    if (via !== undefined && outer === undefined) sink.cloneFrags(via, met.frags);
    try {
      checkPaged(lengths.paged, bytes, listed.bytes);
    } catch (error) {
      tell(address, 'its length', error, sink);
    }
  }

  /** The sk_buff itself, which so many others have as well. */
  #object(
    address: bigint,
    fclone: number,
    others: number,
    outer: bigint | undefined,
    sink: SkbSink,
  ): void {
    const row = this.#rowAt(highHalf(address), lowHalf(address), sink);
    if (row < 0) return;
    const cache = this.#pages.cacheOf(row);
    if (cache === undefined) {
      this.#wholePage(row, outer, sink);
    } else if (fclone !== FCLONE_UNAVAILABLE) {
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
    if (counted > 2) throw new KernelError('damaged', `${counted} of its pair are in use`);
    const cache = this.#pages.cacheOf(row)!;
    if (counted + others <= 1 && outer === undefined) sink.soleSlot(cache);
    else sink.slot(pair, cache, counted + others, outer);
  }

  /** The linear head: a slab slot, or (large kmalloc, page fragment) a page. */
  #head(
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
    sink.page(pages.headOf(row), pages.orderOf(row), pages.referencesOf(row), via);
  }

  /** Follows so many frags of the shared info at an address in halves; gives their bytes. */
  #frags(
    skb: bigint,
    high: number,
    low: number,
    count: number,
    via: bigint | undefined,
    lent: boolean,
    sink: SkbSink,
  ): number {
    const { stride, page, length, offset, mayBeDevice } = this.#frag;
    const at = low + this.#fragsAt;
    const atLow = at % 0x1_0000_0000;
    const atHigh = at === atLow ? high : (high + 1) >>> 0;
    this.#kernel.locate(atHigh, atLow, count * stride, this.#place);
    const view = this.#entries;
    for (let at = 0; at < count * stride; at += 4)
      view.setUint32(at, this.#place.view.getUint32(this.#place.base + at));
    let bytes = 0;
    for (let index = 0; index < count; index++) {
      const frag = index * stride;
      const size = length(view, frag);
      bytes += size;
      const pageLow = view.getUint32(frag + page, true);
      if (mayBeDevice && (pageLow & NET_IOV) !== 0) {
        this.#deviceFrag(skb, index, view.getBigUint64(frag + page, true), sink);
        continue;
      }
      try {
        const row = this.#pages.rowOf(view.getUint32(frag + page + 4, true), pageLow);
        if (this.#pages.cacheOf(row) !== undefined) {
          const address = view.getBigUint64(frag + page, true).toString(16);
          // sendpage of slab memory is forbidden (sendpage_ok), so this is damage or a freed page.
          throw new KernelError('damaged', `its page 0x${address} belongs to a slab`);
        }
        this.#fragPage(row, offset(view, frag) + size, via, lent, sink);
      } catch (error) {
        tell(skb, `frag ${index}`, error, sink);
      }
    }
    return bytes;
  }

  /** A frag that is a net_iov: in device memory, unless io_uring's zero-copy receive lent it. */
  #deviceFrag(skb: bigint, index: number, netmem: bigint, sink: SkbSink): void {
    try {
      this.#isDevice ??= deviceTest(this.#kernel);
      if (this.#isDevice(netmem)) {
        sink.remark(
          'device-memory',
          'some frags lie in device memory (net_iov); they pin no page of this machine',
        );
      } else {
        sink.incomplete(
          'unsupported-layout',
          'some frags lie in buffers that io_uring lent for zero-copy receive; what they pin was not counted',
        );
      }
    } catch (error) {
      tell(skb, `frag ${index}`, error, sink);
    }
  }

  /** A frag that ends so many bytes behind the start of its page. */
  #fragPage(row: number, end: number, via: bigint | undefined, lent: boolean, sink: SkbSink): void {
    const pages = this.#pages;
    const references = pages.referencesOf(row);
    // A large kmalloc's page may have none, but no frag leads to one (sendpage_ok).
    if (references === 0) throw new KernelError('damaged', 'its page is free');
    // Not compound, yet longer than a page: an allocation that does not record its order.
    const order = pages.orderOf(row);
    const unknown = order === 0 && end > this.#kernel.facts.pageSize;
    const told = unknown ? undefined : order;
    if (lent) sink.lentPage(pages.headOf(row), told, references);
    else sink.page(pages.headOf(row), told, references, via);
  }

  /** The skbs that hang in a frag_list, linked by `next` and ended by NULL; adds to `met`. */
  #fragList(
    first: bigint,
    sink: SkbSink,
    depth: number,
    via: bigint | undefined,
    met: Paged,
  ): void {
    if (depth > MAX_FRAG_LIST_DEPTH) {
      throw new KernelError('damaged', `frag_lists are nested deeper than ${MAX_FRAG_LIST_DEPTH}`);
    }
    const seen = new Set<bigint>();
    for (let skb = first; skb !== 0n; ) {
      if (seen.has(skb) || seen.size >= MAX_FRAG_LIST_LENGTH) {
        throw new KernelError('damaged', `the frag_list at 0x${first.toString(16)} has no end`);
      }
      seen.add(skb);
      const listed = this.#follow(skb, sink, depth, via);
      met.frags += listed.frags;
      met.bytes += listed.length;
      skb = this.#next.read(skb).pointer('next');
    }
  }
}

/** Tells that a step failed, for memory that is missing or damaged. */
function tell(skb: bigint, what: string, error: unknown, sink: SkbSink): void {
  const code = incompleteness(error);
  sink.incomplete(code, `skb 0x${skb.toString(16)}: ${what}: ${(error as Error).message}`);
}

/** What an skb says of its own bytes. */
interface Lengths {
  /** `len`: all. */
  readonly length: number;
  /** `data_len`: those outside of its head. */
  readonly paged: number;
  /** Offsets in the head. */
  readonly tail: number;
  readonly end: number;
  /** From `head` to `data`. */
  readonly headroom: number;
}

/** What `len` counts besides the linear part is between `data` and `tail` (skb_headlen). */
function checkLinear({ length, paged, tail, end, headroom }: Lengths): void {
  if (tail > end) {
    throw new KernelError('damaged', `its data ends at ${tail}, its head at ${end}`);
  }
  const [claimed, linear] = [length - paged, tail - headroom];
  if (claimed === linear) return;
  throw new KernelError(
    'damaged',
    `it counts ${claimed} bytes in its head, where ${linear} lie between data and tail`,
  );
}

/** `data_len` counts the frags and the frag_list; netlink's own use of the list it leaves out. */
function checkPaged(claimed: number, frags: number, list: number): void {
  if (claimed === frags + list || claimed === frags) return;
  throw new KernelError(
    'damaged',
    `it counts ${claimed} bytes outside its head, its frags and frag_list have ${frags + list}`,
  );
}
