import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';
import { Pointer } from '../../kernel/pointer.js';
import { Cursor } from '../cursor.js';
import type { PageReader } from '../pages/pages.js';
import { readUnsigned, StructReader } from '../struct-reader.js';
import { reportTo, type SkbSink } from './skb-slots.js';

/** Maximum of `MAX_SKB_FRAGS` in the kernel configuration (net/Kconfig). */
const MAX_CONFIGURABLE_FRAGS = 45;

/** Frags of a shared info. */
export interface HeldFrags {
  /** The skb that refers to it. */
  readonly skb: bigint;
  /** Number of frags, checked against `most`. */
  readonly count: number;
  /** The shared info of clones that holds them, if any. */
  readonly via: bigint | undefined;
  /** The frags hold no references to their pages. */
  readonly lent: boolean;
}

/** Pages of the frags of a `skb_shared_info`. */
export class SkbFrags {
  readonly #kernel: Kernel;
  readonly #pages: PageReader;
  readonly #layout: FragLayout;
  #isDevice: ((netmem: bigint) => boolean) | undefined;
  /** Offset of the frag array in the shared info. */
  readonly #at: number;
  /** Capacity of the frag array. */
  readonly most: number;
  /** Copy of the frags being followed, while their pages are read. */
  readonly #entries: DataView;
  readonly #info: Cursor;
  readonly #page = new Pointer();

  constructor(kernel: Kernel, pages: PageReader) {
    this.#kernel = kernel;
    this.#pages = pages;
    this.#layout = fragLayout(kernel);
    this.#info = new Cursor(kernel, 'struct skb_shared_info');
    const { frags } = new StructReader(kernel, 'skb_shared_info', ['frags']).members;
    this.#at = frags.offset;
    this.most = Math.min(frags.count ?? 0, MAX_CONFIGURABLE_FRAGS);
    this.#entries = new DataView(new ArrayBuffer(this.most * this.#layout.stride));
  }

  /** Follows the frags of a shared info; returns their bytes. */
  follow(info: Pointer, held: HeldFrags, sink: SkbSink): number {
    const { skb, count } = held;
    const { stride, page, length, offset, mayBeDevice } = this.#layout;
    const entries = this.#read(info, count);
    let bytes = 0;
    for (let index = 0; index < count; index++) {
      const frag = index * stride;
      const size = length(entries, frag);
      bytes += size;
      const at = this.#page.load(entries, frag + page);
      if (mayBeDevice && (at.low & NET_IOV) !== 0) {
        this.#deviceFrag(skb, index, at.address, sink);
        continue;
      }
      try {
        const row = this.#pages.rowOf(at);
        if (this.#pages.cacheOf(row) !== undefined) {
          // Slab memory cannot be sent by sendpage (sendpage_ok), so this is corrupt, or the page was freed.
          const address = hex(entries.getBigUint64(frag + page, true));
          throw damaged(`its page ${address} belongs to a slab`);
        }
        this.#fragPage(row, offset(entries, frag) + size, held, sink);
      } catch (error) {
        reportTo(skb, `frag ${index}`, error, sink);
      }
    }
    return bytes;
  }

  /** The entries in use, copied while their pages are read. */
  #read(info: Pointer, count: number): DataView {
    const length = count * this.#layout.stride;
    const { view, base } = this.#info.follow(info).look(this.#at, length);
    const entries = this.#entries;
    for (let at = 0; at < length; at += 4) entries.setUint32(at, view.getUint32(base + this.#at + at));
    return entries;
  }

  /** Handles a frag that is a net_iov: device memory, unless io_uring's zero-copy receive provided it. */
  #deviceFrag(skb: bigint, index: number, netmem: bigint, sink: SkbSink): void {
    try {
      this.#isDevice ??= deviceTest(this.#kernel);
      if (this.#isDevice(netmem)) {
        sink.remark('device-memory', 'some frags lie in device memory (net_iov); they pin no page of this machine');
      } else {
        sink.incomplete(
          'unsupported-layout',
          'some frags are in zero-copy receive buffers of io_uring; the memory that they pin was not counted',
        );
      }
    } catch (error) {
      reportTo(skb, `frag ${index}`, error, sink);
    }
  }

  /** A frag that ends this many bytes behind the start of its page. */
  #fragPage(row: number, end: number, { via, lent }: HeldFrags, sink: SkbSink): void {
    const pages = this.#pages;
    const references = pages.referencesOf(row);
    // The page of a large kmalloc may have no references, but no frag points to one (sendpage_ok).
    if (references === 0) throw damaged('its page is free');
    // Not compound, but longer than a page: the allocation does not record its order.
    const order = pages.orderOf(row);
    const unknown = order === 0 && end > this.#kernel.facts.pageSize;
    const known = unknown ? undefined : order;
    const pool = pages.poolOf(row);
    if (lent) sink.lentPage(pages.headOf(row), known, references, pool);
    else sink.page(pages.headOf(row), known, references, via, pool);
  }
}

/** This kernel's layout of an entry of `skb_shared_info.frags`. */
interface FragLayout {
  /** Bytes from one frag to the next. */
  readonly stride: number;
  /**
   * Offset in a frag of the address of the `struct page` that it starts in, which may be a tail of a compound
   * page.
   */
  readonly page: number;
  /** Whether that address may be a netmem_ref; see NET_IOV. */
  readonly mayBeDevice: boolean;
  /** Bytes from the start of that page; may exceed it within a compound page. */
  offset(view: DataView, frag: number): number;
  /** Bytes of data. */
  length(view: DataView, frag: number): number;
}

/** Bit 0 of a netmem_ref: not a page but a net_iov (include/net/netmem.h). */
const NET_IOV = 1;

/** NET_IOV_DMABUF of enum net_iov_type. */
const NET_IOV_DMABUF = 0;

/**
 * Returns a test for device memory. Since 6.15 a net_iov may also be host memory provided by io_uring
 * (zero-copy receive), which has a different type since 6.16.
 */
function deviceTest(kernel: Kernel): (netmem: bigint) => boolean {
  if (kernel.struct('net_iov')?.member('type')) {
    const reader = new StructReader(kernel, 'net_iov', ['type']);
    return (netmem) => reader.read(netmem - BigInt(NET_IOV)).number('type') === NET_IOV_DMABUF;
  }
  const lends = kernel.struct('io_zcrx_area') !== undefined;
  return () => !lends;
}

/**
 * The three forms of `skb_frag_t`: `{ page.p, page_offset, size }` (to 5.3), a `bio_vec` (5.4), and
 * `{ netmem, len, offset }` (6.9).
 *
 * @throws {KernelError} `unsupported-layout`, with the members found.
 */
function fragLayout(kernel: Kernel): FragLayout {
  // Volatility's symbol tables have no typedefs: the array gives its element type.
  const { type = 'skb_frag' } = kernel.struct('skb_shared_info')?.member('frags') ?? {};
  const frag = kernel.struct('skb_frag_t') ?? kernel.struct(type);
  if (!frag) throw unsupportedLayout('this kernel has no skb_frag_t');
  for (const [page, length, offset] of [
    ['netmem', 'len', 'offset'],
    ['bv_page', 'bv_len', 'bv_offset'],
    ['page.p', 'size', 'page_offset'],
  ] as const) {
    const layout = read(frag, page, length, offset);
    if (layout) return layout;
  }
  throw unsupportedLayout(`skb_frag_t has none of the known forms; its members are ${frag.members.join(', ')}`);
}

function read(frag: StructLayout, pagePath: string, lengthPath: string, offsetPath: string): FragLayout | undefined {
  const page = frag.member(pagePath);
  const length = frag.member(lengthPath);
  const offset = frag.member(offsetPath);
  if (!page || !length || !offset) return undefined;
  return {
    stride: frag.size,
    page: page.offset,
    mayBeDevice: pagePath === 'netmem',
    offset: (view, frag) => readUnsigned(view, frag + offset.offset, offset),
    length: (view, frag) => readUnsigned(view, frag + length.offset, length),
  };
}
