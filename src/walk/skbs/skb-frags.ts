import { KernelError } from '../../kernel/error.js';
import { joinHalves } from '../../kernel/halves.js';
import type { Kernel, Place } from '../../kernel/kernel.js';
import { named } from '../named-read.js';
import { deviceTest, type FragLayout, fragLayout, NET_IOV } from '../pages/frag.js';
import type { PageReader } from '../pages/pages.js';
import { StructReader } from '../struct-reader.js';
import { type SkbSink, tell } from './skb-sink.js';

/** `MAX_SKB_FRAGS` cannot be configured beyond this (net/Kconfig). */
const MAX_CONFIGURABLE_FRAGS = 45;

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
  readonly #place: Place = { view: new DataView(new ArrayBuffer(0)), base: 0 };

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel, pages: PageReader) {
    this.#kernel = kernel;
    this.#pages = pages;
    this.#layout = fragLayout(kernel);
    const { frags } = new StructReader(kernel, 'skb_shared_info', ['frags']).members;
    this.#at = frags.offset;
    this.most = Math.min(frags.count ?? 0, MAX_CONFIGURABLE_FRAGS);
    this.#entries = new DataView(new ArrayBuffer(this.most * this.#layout.stride));
  }

  /** Follows so many frags of the shared info at an address in halves; gives their bytes. */
  follow(
    skb: bigint,
    high: number,
    low: number,
    count: number,
    via: bigint | undefined,
    lent: boolean,
    sink: SkbSink,
  ): number {
    const { stride, page, length, offset, mayBeDevice } = this.#layout;
    const at = low + this.#at;
    const atLow = at % 0x1_0000_0000;
    const atHigh = at === atLow ? high : (high + 1) >>> 0;
    try {
      this.#kernel.locate(atHigh, atLow, count * stride, this.#place);
    } catch (error) {
      throw named(error, 'struct skb_shared_info', joinHalves(high, low));
    }
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
    const pool = pages.poolOf(row);
    if (lent) sink.lentPage(pages.headOf(row), told, references, pool);
    else sink.page(pages.headOf(row), told, references, via, pool);
  }
}
