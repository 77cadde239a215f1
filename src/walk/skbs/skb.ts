import { KernelError } from '../../kernel/error.js';
import { highHalf, joinHalves, lowHalf } from '../../kernel/halves.js';
import type { Kernel, Place } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import type { PageReader } from '../pages/pages.js';
import { numberAt, StructReader } from '../struct-reader.js';
import { SkbFrags } from './skb-frags.js';
import { checkLinear, checkPaged, type Lengths } from './skb-lengths.js';
import { type SkbSink, tell } from './skb-sink.js';
import { SkbSlots } from './skb-slots.js';

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

/** What hangs in a shared info: how many frags, and the bytes that they are to hold. */
interface Paged {
  frags: number;
  bytes: number;
}

/** How deep a frag_list may hang in another; the kernel nests two (GRO's list in a forwarded one). */
const MAX_FRAG_LIST_DEPTH = 8;

/** More skbs than this in one frag_list are damage: GRO and IP fragments stay far below. */
const MAX_FRAG_LIST_LENGTH = 65_536;

/**
 * SKBFL_MANAGED_FRAG_REFS in `skb_shared_info.flags`: io_uring holds the pages of a buffer registered
 * with it for as long as it is sent, and frags take no references (6.0; nothing had the bit before).
 */
const MANAGED_FRAGS = 16;

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
  readonly #skb;
  readonly #next;
  readonly #shared;
  /** `skb_shared_info.flags`, since 5.13. */
  readonly #flags: MemberLayout | undefined;
  readonly #slots: SkbSlots;
  readonly #frags: SkbFrags;
  /** Where the struct lies that is being read; whatever follows another skb reads all it needs before. */
  readonly #place: Place = { view: new DataView(new ArrayBuffer(0)), base: 0 };

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel, pages: PageReader) {
    this.#skb = new StructReader(kernel, 'sk_buff', SKB_FIELDS, true);
    this.#next = new StructReader(kernel, 'sk_buff', ['next']);
    const flags = kernel.struct('skb_shared_info')?.member('flags') ? (['flags'] as const) : [];
    const shared = new StructReader(kernel, 'skb_shared_info', [...SHARED_FIELDS, ...flags]);
    this.#shared = shared;
    this.#flags = flags.length > 0 ? shared.members.flags : undefined;
    this.#slots = new SkbSlots(kernel, pages);
    this.#frags = new SkbFrags(kernel, pages);
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
    const users = numberAt(place, members['users.refs.counter']);
    // Who else has the skb itself keeps all that it holds.
    const others = isCount(users) ? users - 1 : 0;
    try {
      if (!isCount(users)) throw new KernelError('damaged', `it has ${users | 0} users`);
      this.#slots.object(address, fclone, others, outer, sink);
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
    const dataref = numberAt(place, members['dataref.counter']);
    const counted = this.#clonesOf(address, dataref, cloned, sink);
    const sole = counted + others <= 1;
    // Clones within what clones share: one more that is nowhere found, so that they stay shared.
    const clones = counted + others + (sole || outer === undefined ? 0 : 1);
    const count = numberAt(place, members.nr_frags);
    const list = place.view.getBigUint64(place.base + members.frag_list.offset, true);
    const lent = this.#flags !== undefined && (numberAt(place, this.#flags) & MANAGED_FRAGS) !== 0;
    const via = sole ? outer : joinHalves(infoHigh, infoLow);
    const first = sole || via === undefined || sink.clone(via, clones);
    try {
      this.#slots.head(high, low, via, clones, first, sink);
    } catch (error) {
      tell(address, 'its head', error, sink);
    }
    try {
      checkLinear(lengths);
    } catch (error) {
      tell(address, 'its length', error, sink);
    }
    if (!first) return;
    if (count > this.#frags.most) {
      const message = `nr_frags is ${count}, and the array holds ${this.#frags.most}`;
      throw new KernelError('damaged', message);
    }
    const bytes =
      count === 0 ? 0 : this.#frags.follow(address, infoHigh, infoLow, count, via, lent, sink);
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

  /**
   * How many skbs share what hangs on a head, by `dataref`: the low half counts all references, the
   * high half those that keep off the headers. An skb that never was cloned has the only one.
   */
  #clonesOf(address: bigint, dataref: number, cloned: boolean, sink: SkbSink): number {
    const [all, payload] = [dataref % 65_536, Math.floor(dataref / 65_536)];
    if (isCount(dataref) && all > 0 && payload <= all && (cloned || all === 1)) return all;
    const message = `its head counts ${all} references, ${payload} of them to the payload alone${cloned ? '' : ', and it never was cloned'}`;
    tell(address, 'its clones', new KernelError('damaged', message), sink);
    return 1;
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

/** Whether a count of references, which the kernel keeps as an int, can be that of something in use. */
function isCount(count: number): boolean {
  return count >= 1 && count <= 0x7fff_ffff;
}
