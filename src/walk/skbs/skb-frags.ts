import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { Cursor } from '../cursor.js';
import { deviceTest, type FragLayout, fragLayout, NET_IOV } from '../pages/frag.js';
import type { PageReader } from '../pages/pages.js';
import { StructReader } from '../struct-reader.js';
import { type SkbSink, tell } from './skb-sink.js';

/** `MAX_SKB_FRAGS` cannot be configured beyond this (net/Kconfig). */
const MAX_CONFIGURABLE_FRAGS = 45;

/** Frags that hang in a shared info. */
export interface HeldFrags {
  /** The skb that leads there. */
  readonly skb: bigint;
  /** How many, as checked against `most`. */
  readonly count: number;
  /** The shared info of clones that holds them, if one does. */
  readonly via: bigint | undefined;
  /** They took no references to their pages. */
  readonly lent: boolean;
}

/** The frags of a `skb_shared_info`: which pages they lie in. */
export class SkbFrags {
  readonly #kernel: Kernel;
  readonly #pages: PageReader;
  readonly #layout: FragLayout;
  #isDevice: ((netmem: bigint) => boolean) | undefined;
  /** Offset of the array in the shared info. */
  readonly #at: number;
  /** Entries that the array has. */
  readonly most: number;
  /** The frags that are being followed, while their pages are read. */
  readonly #entries: DataView;
  readonly #info: Cursor;
  readonly #page = new Pointer();

  /** @throws {KernelError} `unsupported-layout` */
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

  /** Follows the frags of a shared info; gives their bytes. */
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
          // sendpage of slab memory is forbidden (sendpage_ok), so this is damage or a freed page.
          const address = hex(entries.getBigUint64(frag + page, true));
          throw new KernelError('damaged', `its page ${address} belongs to a slab`);
        }
        this.#fragPage(row, offset(entries, frag) + size, held, sink);
      } catch (error) {
        tell(skb, `frag ${index}`, error, sink);
      }
    }
    return bytes;
  }

  /** The entries in use, kept while their pages are read. */
  #read(info: Pointer, count: number): DataView {
    const length = count * this.#layout.stride;
    const { view, base } = this.#info.follow(info).look(this.#at, length);
    const entries = this.#entries;
    for (let at = 0; at < length; at += 4)
      entries.setUint32(at, view.getUint32(base + this.#at + at));
    return entries;
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
  #fragPage(row: number, end: number, { via, lent }: HeldFrags, sink: SkbSink): void {
    const pages = this.#pages;
    const references = pages.referencesOf(row);
    // A large kmalloc's page may have none, but no frag leads to one (sendpage_ok).
    if (references === 0) throw new KernelError('damaged', 'its page is free');
    // Not compound, yet longer than a page: an allocation that does not record its order.
    const order = pages.orderOf(row);
    const unknown = order === 0 && end > this.#kernel.facts.pageSize;
    const told = unknown ? undefined : order;
    const pool = pages.poolOf(row);
    if (lent) sink.lentPage(pages.headOf(row), told, references, pool);
    else sink.page(pages.headOf(row), told, references, via, pool);
  }
}
