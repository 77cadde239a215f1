import { unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';
import { readUnsigned, StructReader } from '../struct-reader.js';

/** This kernel's layout of an entry of `skb_shared_info.frags`. */
export interface FragLayout {
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
export const NET_IOV = 1;

/** NET_IOV_DMABUF of enum net_iov_type. */
const NET_IOV_DMABUF = 0;

/**
 * Returns a test for device memory. Since 6.15 a net_iov may also be host memory provided by io_uring
 * (zero-copy receive), which has a different type since 6.16.
 */
export function deviceTest(kernel: Kernel): (netmem: bigint) => boolean {
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
export function fragLayout(kernel: Kernel): FragLayout {
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
  throw unsupportedLayout(
    `skb_frag_t has none of the known forms; its members are ${frag.members.join(', ')}`,
  );
}

function read(
  frag: StructLayout,
  pagePath: string,
  lengthPath: string,
  offsetPath: string,
): FragLayout | undefined {
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
