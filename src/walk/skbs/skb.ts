import { damaged } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Skb } from '../../contracts/sockets.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import type { PageReader } from '../pages/pages.js';
import { StructReader } from '../struct-reader.js';
import { SkbFrags } from './skb-frags.js';
import { reportTo, type SkbSink, SkbSlots } from './skb-slots.js';

/** Frags of a shared info: their number and bytes. */
interface Paged {
  frags: number;
  bytes: number;
}

/** An skb being visited, possibly through a chain of frag_lists. */
interface Visit {
  readonly address: bigint;
  readonly sink: SkbSink;
  /** Number of frag_lists that lead to it. */
  readonly depth: number;
  /** The shared info of clones that holds it, if any. */
  readonly outer: bigint | undefined;
}

/** Fields of an skb and its head. */
interface Body {
  readonly cloned: boolean;
  /** Number of additional references to the skb itself, each of which keeps all its memory. */
  readonly others: number;
  readonly lengths: Lengths;
}

/** Maximum nesting of frag_lists; the kernel nests two (a GRO list in a forwarded one). */
const MAX_FRAG_LIST_DEPTH = 8;

/** Maximum length of a valid frag_list: GRO and IP fragments stay far below. */
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
 * Follows an skb to the memory that it pins: its `sk_buff` object, its linear head, and through the
 * `skb_shared_info` at `head + end` its frags and the skbs of its frag_list (include/linux/skbuff.h; `end` is
 * an offset on 64-bit kernels).
 */
export class SkbReader {
  readonly #skb;
  readonly #next;
  readonly #shared;
  readonly #slots: SkbSlots;
  readonly #frags: SkbFrags;
  // For the current skb; nested ones read everything before they continue.
  readonly #head = new Pointer();
  readonly #data = new Pointer();
  readonly #info = new Pointer();

  constructor(kernel: Kernel, pages: PageReader) {
    this.#skb = new StructReader(kernel, 'sk_buff', SKB_FIELDS, true).cursor();
    this.#next = new StructReader(kernel, 'sk_buff', ['next']);
    this.#shared = new SharedInfo(kernel);
    this.#slots = new SkbSlots(kernel, pages);
    this.#frags = new SkbFrags(kernel, pages);
  }

  /**
   * Reads one queue entry and passes the memory that it pins to the sink.
   *
   * @throws {ReadError} if the `sk_buff` itself cannot be read. Other unreadable memory makes the answer
   * incomplete instead.
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
    // Another holder of the skb keeps all its memory.
    const others = isCount(users) ? users - 1 : 0;
    try {
      if (!isCount(users)) throw damaged(`it has ${users | 0} users`);
      this.#slots.object({ address, fclone, others, outer }, sink);
    } catch (error) {
      reportTo(address, 'its slab slot', error, sink);
    }
    const met: Paged = { frags: 0, bytes: 0 };
    try {
      this.#followHead(visit, { cloned, others, lengths }, met);
    } catch (error) {
      reportTo(address, 'what it holds', error, sink);
    }
    return { address, length: lengths.length, truesize, frags: met.frags };
  }

  /** Memory attached to the head of the current skb; adds its frags to `met`. */
  #followHead({ address, sink, depth, outer }: Visit, body: Body, met: Paged): void {
    const { cloned, others, lengths } = body;
    const info = this.#info.after(this.#head, lengths.end);
    // It is aligned to a pointer, whatever the head is (SKB_DATA_ALIGN).
    if (info.low % 8 !== 0) throw damaged(`its shared info would be at ${hex(info.address)}`);
    const { count, list, lent, dataref } = this.#shared.read(info);
    const counted = this.#clonesOf(address, dataref, cloned, sink);
    const sole = counted + others <= 1;
    // Clones within shared data of clones: one more that is never found, so that they remain shared.
    const clones = counted + others + (sole || outer === undefined ? 0 : 1);
    const via = sole ? outer : info.address;
    const first = sole || via === undefined || sink.clone(via, clones);
    try {
      this.#slots.head(this.#head, { via, clones, first }, sink);
    } catch (error) {
      reportTo(address, 'its head', error, sink);
    }
    try {
      checkLinear(lengths);
    } catch (error) {
      reportTo(address, 'its length', error, sink);
    }
    if (!first) return;
    if (count > this.#frags.most) {
      throw damaged(`nr_frags is ${count}, but the array has ${this.#frags.most} entries`);
    }
    const bytes = count === 0 ? 0 : this.#frags.follow(info, { skb: address, count, via, lent }, sink);
    met.frags += count;
    const listed = { frags: 0, bytes: 0 };
    if (list !== 0n) this.#fragList(list, { sink, depth: depth + 1, outer: via }, listed);
    met.frags += listed.frags;
    if (via !== undefined && outer === undefined) sink.cloneFrags(via, met.frags);
    try {
      checkPaged(lengths.paged, bytes, listed.bytes);
    } catch (error) {
      reportTo(address, 'its length', error, sink);
    }
  }

  /**
   * Returns the number of skbs that share the memory attached to a head, from `dataref`: the low half counts
   * all references, the high half references to the payload only. An skb that was never cloned holds the only
   * reference.
   */
  #clonesOf(address: bigint, dataref: number, cloned: boolean, sink: SkbSink): number {
    const [all, payload] = [dataref % 65_536, Math.floor(dataref / 65_536)];
    if (isCount(dataref) && all > 0 && payload <= all && (cloned || all === 1)) return all;
    const message = `its head counts ${all} references, ${payload} of them to the payload alone${cloned ? '' : ', but it was never cloned'}`;
    reportTo(address, 'its clones', damaged(message), sink);
    return 1;
  }

  /** Follows the skbs in a frag_list, linked by `next` and terminated by NULL; adds to `met`. */
  #fragList(first: bigint, visit: Omit<Visit, 'address'>, met: Paged): void {
    if (visit.depth > MAX_FRAG_LIST_DEPTH) {
      throw damaged(`frag_lists are nested deeper than ${MAX_FRAG_LIST_DEPTH}`);
    }
    const seen = new Set<bigint>();
    for (let skb = first; skb !== 0n; ) {
      if (seen.has(skb) || seen.size >= MAX_FRAG_LIST_LENGTH) {
        throw damaged(`frag_list ${hex(first)} does not terminate (loop?)`);
      }
      seen.add(skb);
      const listed = this.#follow({ ...visit, address: skb });
      met.frags += listed.frags;
      met.bytes += listed.length;
      skb = this.#next.read(skb).pointer('next');
    }
  }
}

/** Whether a reference count, an int in the kernel, is valid for an object in use. */
function isCount(count: number): boolean {
  return count >= 1 && count <= 0x7fff_ffff;
}

/** Lengths according to an skb. */
interface Lengths {
  /** `len`: all bytes. */
  readonly length: number;
  /** `data_len`: bytes outside the head. */
  readonly paged: number;
  /** Offsets from the start of the head. */
  readonly tail: number;
  readonly end: number;
  /** Bytes from `head` to `data`. */
  readonly headroom: number;
}

/** The linear part of `len` is between `data` and `tail` (skb_headlen). */
function checkLinear({ length, paged, tail, end, headroom }: Lengths): void {
  if (tail > end) throw damaged(`its data ends at ${tail}, its head at ${end}`);
  const [claimed, linear] = [length - paged, tail - headroom];
  if (claimed === linear) return;
  throw damaged(`it counts ${claimed} bytes in its head, but ${linear} are between data and tail`);
}

/** Checks `data_len`, which counts the frags and the frag_list, but not netlink's private use of the list. */
function checkPaged(claimed: number, frags: number, list: number): void {
  if (claimed === frags + list || claimed === frags) return;
  throw damaged(`it counts ${claimed} bytes outside its head, but its frags and frag_list have ${frags + list}`);
}

/**
 * SKBFL_MANAGED_FRAG_REFS in `skb_shared_info.flags`: io_uring holds the pages of a registered buffer while
 * it is being sent, and the frags hold no references (since 6.0; the bit was unused before).
 */
const MANAGED_FRAGS = 16;

// Without `frags`: only the entries in use are read; the others contain stale data.
const FIELDS = ['nr_frags', 'frag_list', 'dataref.counter'] as const;

/** Data that clones of an skb share. */
interface Shared {
  /** Number of used entries of `frags`, according to `nr_frags`. */
  readonly count: number;
  /** The first skb of its frag_list, or 0. */
  readonly list: bigint;
  /** Its frags hold no references to their pages. */
  readonly lent: boolean;
  /** Reference counts: the low half counts all references, the high half those to the payload only. */
  readonly dataref: number;
}

/** Reads the `skb_shared_info` that follows the linear head of an skb. */
export class SharedInfo {
  readonly #shared;
  /** `skb_shared_info.flags`, since 5.13. */
  readonly #hasFlags: boolean;

  constructor(kernel: Kernel) {
    this.#hasFlags = kernel.struct('skb_shared_info')?.member('flags') !== undefined;
    const flags = this.#hasFlags ? (['flags'] as const) : [];
    this.#shared = new StructReader(kernel, 'skb_shared_info', [...FIELDS, ...flags]).cursor();
  }

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
