import { KernelError } from '../kernel/error.js';
import type { Kernel } from '../kernel/kernel.js';
import type { StructLayout } from '../kernel/layout.js';
import { readUnsigned } from './struct-reader.js';

/** One entry of `skb_shared_info.frags`. */
export interface Frag {
  /** Address of the `struct page` that it starts in; may be a tail of a compound page. */
  readonly page: bigint;
  /** Bytes from the start of that page; may exceed it within a compound page. */
  readonly offset: number;
  readonly length: number;
  /** It lies in device memory (a `struct net_iov`), and `page` is no page. */
  readonly deviceMemory: boolean;
}

/** How this kernel lays a frag out. */
export interface FragLayout {
  /** Bytes from one frag to the next. */
  readonly stride: number;
  at(view: DataView, base: number): Frag;
}

/** Bit 0 of a netmem_ref: not a page but a net_iov (include/net/netmem.h, NET_IOV). */
const NET_IOV = 1n;

/**
 * The three forms of `skb_frag_t`: `{ page.p, page_offset, size }` (to 5.3), a `bio_vec` (5.4), and
 * `{ netmem, len, offset }` (6.9).
 *
 * @throws {KernelError} `unsupported-layout`, with the members found.
 */
export function fragLayout(kernel: Kernel): FragLayout {
  const frag = kernel.struct('skb_frag_t') ?? kernel.struct('skb_frag');
  if (!frag) throw new KernelError('unsupported-layout', 'this kernel has no skb_frag_t');
  for (const [page, length, offset] of [
    ['netmem', 'len', 'offset'],
    ['bv_page', 'bv_len', 'bv_offset'],
    ['page.p', 'size', 'page_offset'],
  ] as const) {
    const layout = read(frag, page, length, offset);
    if (layout) return layout;
  }
  throw new KernelError(
    'unsupported-layout',
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
  const mayBeDevice = pagePath === 'netmem';
  return {
    stride: frag.size,
    at(view, base) {
      const value = view.getBigUint64(base + page.offset, true);
      return {
        page: value,
        offset: readUnsigned(view, base + offset.offset, offset),
        length: readUnsigned(view, base + length.offset, length),
        deviceMemory: mayBeDevice && (value & NET_IOV) !== 0n,
      };
    },
  };
}
