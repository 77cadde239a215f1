import { KernelError } from '../kernel/error.js';
import type { Kernel } from '../kernel/kernel.js';
import type { MemberLayout, StructLayout } from '../kernel/layout.js';
import { readUnsigned, StructReader } from './struct-reader.js';

/** An allocation of the buddy allocator that isn't slab. */
export interface PageBlock {
  readonly kind: 'page';
  /** Address of the `struct page` of its first page: the compound head, if it is compound. */
  readonly head: bigint;
  /** log2 of its base pages; undefined where the kernel doesn't record it. */
  readonly order: number | undefined;
  /**
   * How many references to it the kernel counts (`_refcount` of the head), whoever holds them. A
   * driver's page pool takes its pages back instead of freeing them: infinitely many, then.
   */
  readonly references: number;
}

/** A page of a slab. */
export interface SlabBlock {
  readonly kind: 'slab';
  readonly head: bigint;
  /** Direct-map address of its first object's slot. */
  readonly start: bigint;
  /** Bytes of a slot (`kmem_cache.size`). */
  readonly slotSize: number;
  /** Address of its `struct kmem_cache`. */
  readonly cache: bigint;
}

export type Block = PageBlock | SlabBlock;

/** No buddy or hugetlb allocation is larger (1 GiB of 4 KiB pages, hugetlb's largest, is 18). */
const MAX_ORDER = 30;

/**
 * Tells what allocation a `struct page` belongs to. Remembers every page once seen, so that asking
 * costs one map look-up from then on.
 */
export class PageReader {
  readonly #kernel: Kernel;
  readonly #page;
  readonly #headOf: (page: bigint, view: DataView) => bigint;
  readonly #isHead: (view: DataView, base?: number) => boolean;
  readonly #isSlab: (view: DataView, base?: number) => boolean;
  readonly #orderOf: (head: bigint) => number;
  readonly #slabCache: number;
  readonly #objects: MemberLayout | undefined;
  readonly #references: number;
  readonly #isPooled: (view: DataView) => boolean;
  readonly #slotSize;
  readonly #reciprocal: StructReader<'reciprocal_size.m' | 'reciprocal_size.sh2'> | undefined;
  readonly #blocks = new Map<bigint, Block>();
  readonly #slotSizes = new Map<bigint, number>();

  /** @throws {KernelError} `unsupported-layout` if struct page is in no form known. */
  constructor(kernel: Kernel) {
    const page = struct(kernel, 'page');
    this.#kernel = kernel;
    this.#page = page;
    this.#headOf = headFinder(kernel, page);
    this.#isHead = flagTest(kernel, page, 'PG_head');
    this.#isSlab = slabTest(kernel, page);
    this.#orderOf = orderFinder(kernel, page);
    this.#slabCache = slabCacheOffset(kernel, page);
    this.#objects = kernel.struct('slab')?.member('objects') ?? page.member('objects');
    this.#references = memberOf(page, '_refcount').offset;
    this.#isPooled = poolTest(kernel, page);
    this.#slotSize = new StructReader(kernel, 'kmem_cache', ['size']);
    this.#reciprocal = kernel.struct('kmem_cache')?.member('reciprocal_size.m')
      ? new StructReader(kernel, 'kmem_cache', ['reciprocal_size.m', 'reciprocal_size.sh2'])
      : undefined;
  }

  /**
   * The allocation that the page described at `page` belongs to.
   *
   * @throws {ReadError} if its struct page cannot be read; {@link KernelError} `damaged` if what is
   *   there is no struct page that a sound kernel would hold.
   */
  block(page: bigint): Block {
    let block = this.#blocks.get(page);
    if (!block) {
      block = this.#read(page);
      this.#blocks.set(page, block);
    }
    return block;
  }

  #read(page: bigint): Block {
    const start = this.#kernel.addressOfPage(page);
    if (start === undefined) {
      throw new KernelError(
        'damaged',
        `0x${page.toString(16)} is not the address of a struct page`,
      );
    }
    const view = this.#kernel.read(page, this.#page.size);
    const head = this.#headOf(page, view);
    if (head !== page) {
      const block = this.block(this.#checkedHead(page, head));
      return block;
    }
    if (this.#isSlab(view)) {
      const slotSize = this.#readSlotSize(view);
      this.#checkObjects(head, view, slotSize);
      const cache = view.getBigUint64(this.#slabCache, true);
      return { kind: 'slab', head, start, slotSize, cache };
    }
    return {
      kind: 'page',
      head,
      order: this.#isHead(view) ? this.#orderOf(head) : 0,
      references: this.#isPooled(view)
        ? Number.POSITIVE_INFINITY
        : view.getUint32(this.#references, true),
    };
  }

  /** A tail must lead to a head in one step: otherwise damage could send us round in circles. */
  #checkedHead(page: bigint, head: bigint): bigint {
    const sound =
      head < page &&
      this.#kernel.addressOfPage(head) !== undefined &&
      this.#isHead(this.#kernel.read(head, this.#page.size));
    if (!sound) {
      throw new KernelError(
        'damaged',
        `the tail page 0x${page.toString(16)} leads to 0x${head.toString(16)}, which is no compound head`,
      );
    }
    return head;
  }

  /** A slab has as many slots as its pages have room for; a page of KFENCE has one. */
  #checkObjects(head: bigint, view: DataView, slotSize: number): void {
    if (!this.#objects) return;
    const objects = readUnsigned(view, this.#objects.offset, this.#objects);
    const bytes = this.#kernel.facts.pageSize * 2 ** (this.#isHead(view) ? this.#orderOf(head) : 0);
    if (objects === 1 || objects === Math.floor(bytes / slotSize)) return;
    throw new KernelError(
      'damaged',
      `the slab at 0x${head.toString(16)} claims ${objects} slots of ${slotSize} bytes in ${bytes}`,
    );
  }

  /** Since 5.9 a cache keeps its slots' size in a second form, to divide by it (reciprocal_value). */
  #isSlotSize(cache: bigint, size: number): boolean {
    if (!this.#reciprocal) return true;
    const view = this.#reciprocal.read(cache);
    const bits = Math.ceil(Math.log2(size));
    const multiplier = Math.floor((2 ** 32 * (2 ** bits - size)) / size) + 1;
    const shift = Math.max(bits - 1, 0);
    return (
      view.number('reciprocal_size.m') === multiplier &&
      view.number('reciprocal_size.sh2') === shift
    );
  }

  #readSlotSize(page: DataView): number {
    const cache = page.getBigUint64(this.#slabCache, true);
    let size = this.#slotSizes.get(cache);
    if (size === undefined) {
      size = this.#slotSize.read(cache).number('size');
      if (size < 8 || size > 2 ** 26 || size % 8 !== 0 || !this.#isSlotSize(cache, size)) {
        throw new KernelError(
          'damaged',
          `the slab cache at 0x${cache.toString(16)} claims slots of ${size} bytes`,
        );
      }
      this.#slotSizes.set(cache, size);
    }
    return size;
  }
}

function struct(kernel: Kernel, name: string): StructLayout {
  const layout = kernel.struct(name);
  if (!layout) throw new KernelError('unsupported-layout', `this kernel has no struct ${name}`);
  return layout;
}

function memberOf(layout: StructLayout, path: string): MemberLayout {
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
function pageTypes(kernel: Kernel): ReadonlyMap<string, bigint> | undefined {
  if (kernel.enumerators('pageflags')?.has('PG_slab')) return undefined;
  return kernel.enumerators('pagetype');
}

function flagTest(
  kernel: Kernel,
  page: StructLayout,
  flag: string,
): (view: DataView, base?: number) => boolean {
  const bit = kernel.enumerators('pageflags')?.get(flag);
  if (bit === undefined) {
    throw new KernelError('unsupported-layout', `enum pageflags of this kernel has no ${flag}`);
  }
  const offset = flagsOffset(page) + Math.floor(Number(bit) / 8);
  const mask = 1 << (Number(bit) % 8);
  return (view, base = 0) => (view.getUint8(base + offset) & mask) !== 0;
}

/**
 * From any page of a compound allocation to its first (include/linux/page-flags.h). Since 4.4 the
 * word of a tail page is the head's address plus 1. Since 7.1 it is `compound_info`, and where
 * struct page has a power of two as its size and the kernel optimizes hugetlb's vmemmap, the word
 * of a tail is a mask for the tail's own address instead, plus 1.
 */
function headFinder(kernel: Kernel, page: StructLayout): (page: bigint, view: DataView) => bigint {
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
  return (address, view) => {
    if ((view.getUint8(word.offset) & 1) === 0) return address;
    const value = view.getBigUint64(word.offset, true) - 1n;
    return masks ? address & value : value;
  };
}

/**
 * PG_slab is a page flag before 6.10; 6.10 and 6.11 keep it inverted among the bits of page_type;
 * since then the top byte of page_type says PGTY_slab (include/linux/page-flags.h).
 */
export function slabTest(
  kernel: Kernel,
  page: StructLayout,
): (view: DataView, base?: number) => boolean {
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
 * A page pool marks its pages with PP_SIGNATURE in `pp_magic` (5.14), whose bits 0 and 1 are flags
 * and from bit 7 on hold an index (6.16); later a page type says so (net/core/page_pool.c,
 * include/linux/poison.h). Kernels before have no mark.
 */
function poolTest(kernel: Kernel, page: StructLayout): (view: DataView) => boolean {
  const type = pageTypes(kernel)?.get('PGTY_netpp');
  const pageType = page.member('page_type');
  if (type !== undefined && pageType) {
    return (view) => view.getUint8(pageType.offset + 3) === Number(type);
  }
  const magic = page.member('pp_magic');
  if (!magic) return () => false;
  const [SIGNATURE, SIGNATURE_MASK, POISON] = [0x40, 0x7c, 0xdead];
  return (view) =>
    (view.getUint8(magic.offset) & SIGNATURE_MASK) === SIGNATURE &&
    view.getUint16(magic.offset + 6, true) === POISON;
}

/**
 * Where a compound head keeps its order, newest first: the low byte of `folio._flags_1` (6.6),
 * `folio._folio_order` (6.1), `compound_order` of the second struct page (before that).
 */
function orderFinder(kernel: Kernel, page: StructLayout): (head: bigint) => number {
  const folio = kernel.struct('folio');
  const member = folio?.member('_folio_order') ?? folio?.member('_flags_1');
  const inSecond = member ? undefined : page.member('compound_order');
  const offset = inSecond ? page.size + inSecond.offset : member?.offset;
  if (offset === undefined) {
    throw new KernelError('unsupported-layout', 'no member is known that holds a folio’s order');
  }
  return (head) => {
    const order = kernel.read(head + BigInt(offset), 1).getUint8(0);
    if (order === 0 || order > MAX_ORDER) {
      throw new KernelError(
        'damaged',
        `the compound page 0x${head.toString(16)} claims order ${order}`,
      );
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
