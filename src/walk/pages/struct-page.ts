import { damaged, readOrNot, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { ByteWindow } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout, StructLayout } from '../../kernel/layout.js';
import { Pointer } from '../../kernel/pointer.js';
import { Cursor } from '../cursor.js';

/** Maximum order of buddy and hugetlb allocations (1 GiB of 4 KiB pages, hugetlb's largest, is 18). */
export const MAX_ORDER = 30;

/** Tests the `struct page` at `base` of a view. */
export type PageTest = (view: DataView, base?: number) => boolean;

/**
 * Returns the address of an allocation's first `struct page`, given the address of any of its `struct page`s
 * and a window with its bytes.
 */
export type HeadFinder = (page: bigint, window: Readonly<ByteWindow>) => bigint;

export function struct(kernel: Kernel, name: string): StructLayout {
  const layout = kernel.struct(name);
  if (!layout) throw unsupportedLayout(`this kernel has no struct ${name}`);
  return layout;
}

export function memberOf(layout: StructLayout, path: string): MemberLayout {
  const member = layout.member(path);
  if (member) return member;
  throw unsupportedLayout(`struct ${layout.name} has no member ${path}`);
}

/** `page.flags`, or `page.flags.f` since it became a struct memdesc_flags_t (6.18). */
function flagsOffset(page: StructLayout): number {
  const flags = page.member('flags.f') ?? page.member('flags');
  if (!flags) throw unsupportedLayout('struct page has no member flags');
  return flags.offset;
}

/** Bytes of a struct page that {@link slabTest} reads. */
export function slabTestBytes(
  kernel: Kernel,
  page: StructLayout,
): { readonly offset: number; readonly length: number } {
  const pageType = page.member('page_type');
  const types = pageTypes(kernel);
  if (pageType && (types?.has('PGTY_slab') || types?.has('PG_slab'))) return { offset: pageType.offset, length: 4 };
  return { offset: flagsOffset(page), length: 8 };
}

/**
 * Page types by name; undefined while PG_slab is a flag: page types got names when PG_slab became one of them
 * (6.10).
 */
export function pageTypes(kernel: Kernel): ReadonlyMap<string, bigint> | undefined {
  if (kernel.enumerators('pageflags')?.has('PG_slab')) return undefined;
  return kernel.enumerators('pagetype');
}

/** Offset of the byte with a page flag in struct page, and the flag's bit in that byte. */
export function flagPlace(
  kernel: Kernel,
  page: StructLayout,
  flag: string,
): { readonly offset: number; readonly mask: number } {
  const bit = kernel.enumerators('pageflags')?.get(flag);
  if (bit === undefined) throw unsupportedLayout(`enum pageflags of this kernel has no ${flag}`);
  return { offset: flagsOffset(page) + Math.floor(Number(bit) / 8), mask: 1 << (Number(bit) % 8) };
}

export function flagTest(kernel: Kernel, page: StructLayout, flag: string): PageTest {
  const { offset, mask } = flagPlace(kernel, page, flag);
  return (view, base = 0) => (view.getUint8(base + offset) & mask) !== 0;
}

/**
 * Returns a function from any page of a compound allocation to its first page (include/linux/page-flags.h).
 * Since 4.4 a tail page contains the head's address plus 1. Since 7.1 this word is `compound_info`. If the
 * size of struct page is a power of two and the kernel optimizes hugetlb's vmemmap, it is a mask for the
 * tail's own address instead, plus 1.
 */
export function headFinder(kernel: Kernel, page: StructLayout): HeadFinder {
  const word = page.member('compound_head') ?? page.member('compound_info');
  if (!word) throw unsupportedLayout('struct page has neither compound_head nor compound_info');
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
 * Returns a test for slab pages. PG_slab is a page flag before 6.10, and an inverted bit of page_type in 6.10
 * and 6.11. Since then the top byte of page_type is PGTY_slab (include/linux/page-flags.h).
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

/**
 * Returns a test for large kmallocs, which have a page type since 6.15. Before, they cannot be recognized.
 */
export function largeKmallocTest(kernel: Kernel, page: StructLayout): PageTest {
  const type = pageTypes(kernel)?.get('PGTY_large_kmalloc');
  const pageType = page.member('page_type');
  if (type === undefined || !pageType) return () => false;
  const top = Number(type);
  return (view, base = 0) => view.getUint8(base + pageType.offset + 3) === top;
}

/**
 * Offset of a compound head's order from its struct page, in bytes; newest first: the low byte of
 * `folio._flags_1` (6.6), `folio._folio_order` (6.1), `compound_order` of the second struct page (before
 * that).
 */
export function orderOffset(kernel: Kernel, page: StructLayout): number {
  const folio = kernel.struct('folio');
  const member = folio?.member('_folio_order') ?? folio?.member('_flags_1');
  const inSecond = member ? undefined : page.member('compound_order');
  const offset = inSecond ? page.size + inSecond.offset : member?.offset;
  if (offset !== undefined) return offset;
  throw unsupportedLayout('no member is known that holds a folio’s order');
}

/** Returns a reader of the order of a compound allocation, given its first frame. */
export function orderFinder(kernel: Kernel, page: StructLayout): (head: number) => number {
  const offset = orderOffset(kernel, page);
  const cursor = new Cursor(kernel, 'struct page');
  return (frame) => {
    const head = kernel.pages.pageOfFrame(frame);
    const { view, base } = cursor.to(head).look(offset, 1);
    const order = view.getUint8(base + offset);
    if (order === 0 || order > MAX_ORDER) {
      throw damaged(`the compound page ${hex(head)} claims order ${order}`);
    }
    return order;
  };
}

/** Offset of `slab.slab_cache`, which overlays struct page (5.17), or of `page.slab_cache` before. */
export function slabCacheOffset(kernel: Kernel, page: StructLayout): number {
  const field = kernel.struct('slab')?.member('slab_cache') ?? page.member('slab_cache');
  if (field) return field.offset;
  throw unsupportedLayout('neither struct slab nor struct page has a member slab_cache');
}

/** Number of bytes of `struct page`s read at once: what a dump image stores contiguously. */
const CHUNK_BYTES = 16_384;

/**
 * Minimum memory of a section, whose part of the array of `struct page` exists completely or not at all
 * (SECTION_SIZE_BITS is 27 to 30 in asm/sparsemem.h). Holes of the array are skipped section by section.
 */
const SECTION_BYTES = 2 ** 27;

/**
 * Number of `struct page`s read at once: even, so that the first two of a compound page are read together.
 */
export function pagesPerChunk(stride: number): number {
  return 2 * Math.floor(CHUNK_BYTES / stride / 2);
}

/** Number of page frames of a section: no read crosses the end of a section. */
export function framesPerSection(pageSize: number): number {
  return SECTION_BYTES / pageSize;
}

/**
 * Finds the first `struct page` of a compound allocation and its order, and checks the tails against them.
 */
export class CompoundHeads {
  readonly #kernel: Kernel;
  readonly #size: number;
  readonly #page: Cursor;
  readonly #headOf: HeadFinder;
  readonly #isHead: PageTest;
  readonly #orderOf: (head: number) => number;
  readonly #at = new Pointer();

  constructor(kernel: Kernel) {
    const page = struct(kernel, 'page');
    this.#kernel = kernel;
    this.#size = page.size;
    this.#page = new Cursor(kernel, 'struct page');
    this.#headOf = headFinder(kernel, page);
    this.#isHead = flagTest(kernel, page, 'PG_head');
    this.#orderOf = orderFinder(kernel, page);
  }

  /** Returns the first `struct page` of the allocation that contains `page`, whose bytes are in `window`. */
  of(page: bigint, window: Readonly<ByteWindow>): bigint {
    return this.#headOf(page, window);
  }

  /**
   * Whether a head may be a fake one. HVO (5.18 to 7.0) maps the `struct page`s of a hugetlb page to few
   * pages, so tails at the start of a page of the array read like the head (page_fixed_fake_head).
   */
  mayBeFake(page: bigint, { view, base }: Readonly<ByteWindow>): boolean {
    return page % BigInt(this.#kernel.facts.pageSize) === 0n && this.#isHead(view, base);
  }

  /** Returns the head stored in the next struct page, a tail of the same compound page. */
  headFromNextPage(page: bigint): bigint {
    const next = page + BigInt(this.#size);
    const head = this.#headOf(next, this.#window(next));
    return head === next ? page : head;
  }

  /**
   * Returns the page frame number of a head. A tail must point directly to its head: otherwise damage could
   * cause an endless loop.
   *
   * @param page address of the tail
   */
  frameOf(page: bigint, head: bigint): number {
    const frame = this.#kernel.pages.frameOfPage(this.#at.set(head));
    const sound = head < page && frame >= 0 && this.#isHeadAt(head);
    if (!sound) {
      throw damaged(`the tail page ${hex(page)} leads to ${hex(head)}, which is not a compound head`);
    }
    return frame;
  }

  /**
   * Returns log2 of an allocation's base pages, given its first frame. Checks that the last page is a tail of
   * the first and the page after it is not, and that the allocation is aligned to its size, as buddy blocks
   * are.
   */
  order(frame: number): number {
    const order = this.#orderOf(frame);
    const head = this.#pageOf(frame);
    const pages = 2 ** order;
    const end = frame + pages;
    const isLast = this.#leadsTo(end - 1, head) !== false && this.#leadsTo(end, head) !== true;
    const isAligned = frame % pages === 0;
    if (isLast && isAligned) return order;
    const odd = isLast ? `its frame ${frame} is not a multiple of ${pages}` : 'its tails differ';
    throw damaged(`the compound page ${hex(head)} claims order ${order}, and ${odd}`);
  }

  /**
   * Whether a page's head is `head`; undefined if it is unreadable: an extract contains only memory that its
   * answers read.
   */
  #leadsTo(frame: number, head: bigint): boolean | undefined {
    const page = this.#pageOf(frame);
    return readOrNot(() => this.#headOf(page, this.#window(page)) === head);
  }

  #isHeadAt(page: bigint): boolean {
    const { view, base } = this.#window(page);
    return this.#isHead(view, base);
  }

  #pageOf(frame: number): bigint {
    return this.#kernel.pages.pageOfFrame(frame);
  }

  #window(page: bigint): Readonly<ByteWindow> {
    return this.#page.to(page).look(0, this.#size);
  }
}
