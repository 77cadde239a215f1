import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { ByteWindow } from '../../kernel/fast-reads.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout, StructLayout } from '../../kernel/layout.js';
import { Cursor } from '../cursor.js';

/** No buddy or hugetlb allocation is larger (1 GiB of 4 KiB pages, hugetlb's largest, is 18). */
export const MAX_ORDER = 30;

/** Looks at the `struct page` at `base` of a view. */
export type PageTest = (view: DataView, base?: number) => boolean;

/** From a `struct page`, at an address and found at a place, to the first of its allocation. */
export type HeadFinder = (page: bigint, window: Readonly<ByteWindow>) => bigint;

export function struct(kernel: Kernel, name: string): StructLayout {
  const layout = kernel.struct(name);
  if (!layout) throw new KernelError('unsupported-layout', `this kernel has no struct ${name}`);
  return layout;
}

export function memberOf(layout: StructLayout, path: string): MemberLayout {
  const member = layout.member(path);
  if (member) return member;
  throw new KernelError('unsupported-layout', `struct ${layout.name} has no member ${path}`);
}

/** `page.flags`, or `page.flags.f` since it became a struct memdesc_flags_t (6.18). */
function flagsOffset(page: StructLayout): number {
  const flags = page.member('flags.f') ?? page.member('flags');
  if (!flags) throw new KernelError('unsupported-layout', 'struct page has no member flags');
  return flags.offset;
}

/** Bytes of a struct page that {@link slabTest} looks at. */
export function slabTestBytes(
  kernel: Kernel,
  page: StructLayout,
): { readonly offset: number; readonly length: number } {
  const pageType = page.member('page_type');
  const types = pageTypes(kernel);
  if (pageType && (types?.has('PGTY_slab') || types?.has('PG_slab')))
    return { offset: pageType.offset, length: 4 };
  return { offset: flagsOffset(page), length: 8 };
}

/**
 * What a page_type can say; undefined while PG_slab is a flag: page types got names for it when they
 * took slabs in (6.10).
 */
export function pageTypes(kernel: Kernel): ReadonlyMap<string, bigint> | undefined {
  if (kernel.enumerators('pageflags')?.has('PG_slab')) return undefined;
  return kernel.enumerators('pagetype');
}

/** The byte of a struct page, from its start, that holds a page flag, and the flag's bit in it. */
export function flagPlace(
  kernel: Kernel,
  page: StructLayout,
  flag: string,
): { readonly offset: number; readonly mask: number } {
  const bit = kernel.enumerators('pageflags')?.get(flag);
  if (bit === undefined) {
    throw new KernelError('unsupported-layout', `enum pageflags of this kernel has no ${flag}`);
  }
  return { offset: flagsOffset(page) + Math.floor(Number(bit) / 8), mask: 1 << (Number(bit) % 8) };
}

export function flagTest(kernel: Kernel, page: StructLayout, flag: string): PageTest {
  const { offset, mask } = flagPlace(kernel, page, flag);
  return (view, base = 0) => (view.getUint8(base + offset) & mask) !== 0;
}

/**
 * From any page of a compound allocation to its first (include/linux/page-flags.h). Since 4.4 the
 * word of a tail page is the head's address plus 1. Since 7.1 it is `compound_info`, and where
 * struct page has a power of two as its size and the kernel optimizes hugetlb's vmemmap, the word
 * of a tail is a mask for the tail's own address instead, plus 1.
 */
export function headFinder(kernel: Kernel, page: StructLayout): HeadFinder {
  const word = page.member('compound_head') ?? page.member('compound_info');
  if (!word) {
    throw new KernelError(
      'unsupported-layout',
      'struct page has neither compound_head nor compound_info',
    );
  }
  const masks =
    page.member('compound_info') !== undefined &&
    kernel.struct('zone')?.member('vmemmap_tails') !== undefined &&
    Number.isInteger(Math.log2(page.size));
  return (address, { view, base }) => {
    if ((view.getUint8(base + word.offset) & 1) === 0) return address;
    const value = view.getBigUint64(base + word.offset, true) - 1n;
    return masks ? address & value : value;
  };
}

/**
 * PG_slab is a page flag before 6.10; 6.10 and 6.11 keep it inverted among the bits of page_type;
 * since then the top byte of page_type says PGTY_slab (include/linux/page-flags.h).
 */
export function slabTest(kernel: Kernel, page: StructLayout): PageTest {
  const pageType = page.member('page_type');
  const types = pageTypes(kernel);
  const byte = types?.get('PGTY_slab');
  if (pageType && byte !== undefined) {
    const value = Number(byte);
    return (view, base = 0) => view.getUint8(base + pageType.offset + 3) === value;
  }
  const bit = types?.get('PG_slab');
  if (pageType && bit !== undefined) {
    const PAGE_TYPE_BASE = 0xf000_0000n;
    return (view, base = 0) => {
      const value = BigInt(view.getUint32(base + pageType.offset, true));
      return (value & (PAGE_TYPE_BASE | bit)) === PAGE_TYPE_BASE;
    };
  }
  return flagTest(kernel, page, 'PG_slab');
}

/** Large kmallocs have a page type of their own since 6.15; before, nothing tells them. */
export function largeKmallocTest(kernel: Kernel, page: StructLayout): PageTest {
  const type = pageTypes(kernel)?.get('PGTY_large_kmalloc');
  const pageType = page.member('page_type');
  if (type === undefined || !pageType) return () => false;
  const top = Number(type);
  return (view, base = 0) => view.getUint8(base + pageType.offset + 3) === top;
}

/**
 * Where a compound head keeps its order, in bytes from its struct page, newest first: the low byte of
 * `folio._flags_1` (6.6), `folio._folio_order` (6.1), `compound_order` of the second struct page
 * (before that).
 */
export function orderOffset(kernel: Kernel, page: StructLayout): number {
  const folio = kernel.struct('folio');
  const member = folio?.member('_folio_order') ?? folio?.member('_flags_1');
  const inSecond = member ? undefined : page.member('compound_order');
  const offset = inSecond ? page.size + inSecond.offset : member?.offset;
  if (offset !== undefined) return offset;
  throw new KernelError('unsupported-layout', 'no member is known that holds a folio’s order');
}

/** Reads the order of a compound allocation, by its first frame. */
export function orderFinder(kernel: Kernel, page: StructLayout): (head: number) => number {
  const offset = orderOffset(kernel, page);
  const cursor = new Cursor(kernel, 'struct page');
  return (frame) => {
    const head = kernel.pages.pageOfFrame(frame);
    const { view, base } = cursor.to(head).look(offset, 1);
    const order = view.getUint8(base + offset);
    if (order === 0 || order > MAX_ORDER) {
      throw new KernelError('damaged', `the compound page ${hex(head)} claims order ${order}`);
    }
    return order;
  };
}

/** Of `slab.slab_cache`, which overlays struct page (5.17), or `page.slab_cache` before. */
export function slabCacheOffset(kernel: Kernel, page: StructLayout): number {
  const field = kernel.struct('slab')?.member('slab_cache') ?? page.member('slab_cache');
  if (field) return field.offset;
  throw new KernelError(
    'unsupported-layout',
    'neither struct slab nor struct page has a member slab_cache',
  );
}
