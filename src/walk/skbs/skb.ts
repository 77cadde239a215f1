import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import type { PageReader } from '../pages/pages.js';
import { StructReader } from '../struct-reader.js';
import { SkbFrags } from './skb-frags.js';
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

/** An skb on the way, at the end of a chain of frag_lists. */
interface Visit {
  readonly address: bigint;
  readonly sink: SkbSink;
  /** How many frag_lists lead to it. */
  readonly depth: number;
  /** The shared info of clones that holds it, if one does. */
  readonly outer: bigint | undefined;
}

/** What an skb says of itself and its head. */
interface Body {
  readonly cloned: boolean;
  /** How many others have the skb itself, and keep all that it holds. */
  readonly others: number;
  readonly lengths: Lengths;
}

/** How deep a frag_list may hang in another; the kernel nests two (GRO's list in a forwarded one). */
const MAX_FRAG_LIST_DEPTH = 8;

/** More skbs than this in one frag_list are damage: GRO and IP fragments stay far below. */
const MAX_FRAG_LIST_LENGTH = 65_536;

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

/**
 * Follows an skb to what it pins: its `sk_buff` object, its linear head, and through the
 * `skb_shared_info` at `head + end` its frags and the skbs of its frag_list
 * (include/linux/skbuff.h; `end` is an offset on 64-bit kernels).
 */
export class SkbReader {
  readonly #skb;
  readonly #next;
  readonly #shared;
  readonly #slots: SkbSlots;
  readonly #frags: SkbFrags;
  // Of the skb that is being read; whatever follows another one reads all it needs before.
  readonly #head = new Pointer();
  readonly #data = new Pointer();
  readonly #info = new Pointer();

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel, pages: PageReader) {
    this.#skb = new StructReader(kernel, 'sk_buff', SKB_FIELDS, true).cursor();
    this.#next = new StructReader(kernel, 'sk_buff', ['next']);
    this.#shared = new SharedInfo(kernel);
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
    return this.#follow({ address, sink, depth: 0, outer: undefined });
  }

  #follow(visit: Visit): Skb {
    const { address, sink, outer } = visit;
    const skb = this.#skb.to(address);
    const head = skb.load('head', this.#head);
    const lengths = {
      length: skb.number('len'),
      paged: skb.number('data_len'),
      tail: skb.number('tail'),
      end: skb.number('end'),
      headroom: skb.load('data', this.#data).minus(head),
    };
    const truesize = skb.number('truesize');
    const cloned = skb.number('cloned') !== 0;
    const fclone = skb.number('fclone');
    const users = skb.number('users.refs.counter');
    // Who else has the skb itself keeps all that it holds.
    const others = isCount(users) ? users - 1 : 0;
    try {
      if (!isCount(users)) throw new KernelError('damaged', `it has ${users | 0} users`);
      this.#slots.object({ address, fclone, others, outer }, sink);
    } catch (error) {
      tell(address, 'its slab slot', error, sink);
    }
    const met: Paged = { frags: 0, bytes: 0 };
    try {
      this.#held(visit, { cloned, others, lengths }, met);
    } catch (error) {
      tell(address, 'what it holds', error, sink);
    }
    return { address, length: lengths.length, truesize, frags: met.frags };
  }

  /** What hangs on the head of the skb that was just read; adds the frags met to `met`. */
  #held({ address, sink, depth, outer }: Visit, body: Body, met: Paged): void {
    const { cloned, others, lengths } = body;
    const info = this.#info.after(this.#head, lengths.end);
    // It begins with a pointer's alignment, whatever the head is (SKB_DATA_ALIGN).
    if (info.low % 8 !== 0)
      throw new KernelError('damaged', `its shared info would be at ${hex(info.address)}`);
    const { count, list, lent, dataref } = this.#shared.read(info);
    const counted = this.#clonesOf(address, dataref, cloned, sink);
    const sole = counted + others <= 1;
    // Clones within what clones share: one more that is nowhere found, so that they stay shared.
    const clones = counted + others + (sole || outer === undefined ? 0 : 1);
    const via = sole ? outer : info.address;
    const first = sole || via === undefined || sink.clone(via, clones);
    try {
      this.#slots.head(this.#head, { via, clones, first }, sink);
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
      count === 0 ? 0 : this.#frags.follow(info, { skb: address, count, via, lent }, sink);
    met.frags += count;
    const listed = { frags: 0, bytes: 0 };
    if (list !== 0n) this.#fragList(list, { sink, depth: depth + 1, outer: via }, listed);
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
  #fragList(first: bigint, visit: Omit<Visit, 'address'>, met: Paged): void {
    if (visit.depth > MAX_FRAG_LIST_DEPTH) {
      throw new KernelError('damaged', `frag_lists are nested deeper than ${MAX_FRAG_LIST_DEPTH}`);
    }
    const seen = new Set<bigint>();
    for (let skb = first; skb !== 0n; ) {
      if (seen.has(skb) || seen.size >= MAX_FRAG_LIST_LENGTH) {
        throw new KernelError('damaged', `frag_list ${hex(first)} does not terminate (loop?)`);
      }
      seen.add(skb);
      const listed = this.#follow({ ...visit, address: skb });
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

/**
 * SKBFL_MANAGED_FRAG_REFS in `skb_shared_info.flags`: io_uring holds the pages of a buffer registered
 * with it for as long as it is sent, and frags take no references (6.0; nothing had the bit before).
 */
const MANAGED_FRAGS = 16;

// Not `frags`: of the array only the entries in use are read; behind them lies what was there before.
const FIELDS = ['nr_frags', 'frag_list', 'dataref.counter'] as const;

/** What clones of an skb share. */
interface Shared {
  /** Entries of `frags` in use, as it says. */
  readonly count: number;
  /** The first skb of its frag_list, or 0. */
  readonly list: bigint;
  /** Its frags took no references to their pages. */
  readonly lent: boolean;
  /** Who shares it: the low half counts all references, the high half those to the payload alone. */
  readonly dataref: number;
}

/** Reads the `skb_shared_info` behind the linear head of an skb. */
export class SharedInfo {
  readonly #shared;
  /** `skb_shared_info.flags`, since 5.13. */
  readonly #hasFlags: boolean;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#hasFlags = kernel.struct('skb_shared_info')?.member('flags') !== undefined;
    const flags = this.#hasFlags ? (['flags'] as const) : [];
    this.#shared = new StructReader(kernel, 'skb_shared_info', [...FIELDS, ...flags]).cursor();
  }

  /** @throws {ReadError} */
  read(at: Pointer): Shared {
    const shared = this.#shared.follow(at);
    return {
      count: shared.number('nr_frags'),
      list: shared.pointer('frag_list'),
      lent: this.#hasFlags && (shared.number('flags') & MANAGED_FRAGS) !== 0,
      dataref: shared.number('dataref.counter'),
    };
  }
}
