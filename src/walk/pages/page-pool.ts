import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';
import { readUnsigned } from '../struct-reader.js';
import { type PageTest, pageTypes } from './struct-page.js';

/** PP_SIGNATURE less POISON_POINTER_DELTA (include/linux/poison.h); the low two bits are flags. */
const SIGNATURE = 0x40;

/** Upper half of CONFIG_ILLEGAL_POINTER_VALUE, on x86_64 and arm64 alike. */
const POISON = 0xdead0000;

/** Bits of `pp_magic` below those that hold an index for DMA since 6.16 (PP_DMA_INDEX_SHIFT). */
const SIGNATURE_BITS = 0x7c;

/** Tells from a `struct page`, at `base` of a view, whether it is the first of a pool's allocation. */
export interface PoolPageTest {
  readonly is: PageTest;
  /**
   * The pool that will have the page again when its last user drops it, and how many users it counts;
   * undefined where that is not told, as for a page that somebody holds besides.
   */
  lent(view: DataView, base: number): LentPage | undefined;
  /** Takes into the view what tells it, and no more than it takes. @throws {ReadError} of `take` */
  fetch(take: (offset: number, length: number) => void, view: DataView, base: number): void;
}

export interface LentPage {
  /** Address of the `struct page_pool`. */
  readonly pool: bigint;
  /** `pp_ref_count`, 6.8 and later. */
  readonly users: bigint;
}

/**
 * Tells what the pool does with the page (__page_pool_page_can_be_recycled in net/core/page_pool.c): it
 * takes back what nobody else refers to, but for pages of the reserve for emergencies (pfmemalloc).
 */
function lentPage(page: StructLayout): PoolPageTest['lent'] {
  const [pool, users, references, lru] = ['pp', 'pp_ref_count', '_refcount', 'lru'].map((name) =>
    page.member(name),
  );
  if (!pool || !users || !references || !lru) return () => undefined;
  return (view, base) => {
    if (view.getUint32(base + references.offset, true) !== 1) return undefined;
    if ((view.getUint32(base + lru.offset, true) & PFMEMALLOC) !== 0) return undefined;
    const counted = view.getBigInt64(base + users.offset, true);
    if (counted < 1n) return undefined;
    return { pool: view.getBigUint64(base + pool.offset, true), users: counted };
  };
}

/** Bit of `lru.next` (page_is_pfmemalloc in include/linux/mm.h). */
const PFMEMALLOC = 2;

/**
 * By the page type since 7.1, by `pp_magic` since 5.14 (include/linux/mm.h, page_pool_page_is_pp).
 * Undefined for older kernels, whose pages do not say it.
 */
export function poolPageTest(kernel: Kernel, page: StructLayout): PoolPageTest | undefined {
  const type = pageTypes(kernel)?.get('PGTY_netpp');
  const pageType = page.member('page_type');
  if (type !== undefined && pageType) {
    const top = Number(type);
    return {
      is: (view, base = 0) => readUnsigned(view, base + pageType.offset, pageType) >>> 24 === top,
      fetch: (take) => take(pageType.offset, pageType.size),
      lent: lentPage(page),
    };
  }
  const magic = page.member('pp_magic');
  if (!magic) return undefined;
  const isPoison = (view: DataView, base: number): boolean =>
    view.getUint32(base + magic.offset + 4, true) === POISON;
  return {
    is: (view, base = 0) =>
      isPoison(view, base) &&
      (view.getUint32(base + magic.offset, true) & SIGNATURE_BITS) === SIGNATURE,
    // In the pages of others lie pointers there: of those half is enough to know.
    fetch(take, view, base) {
      take(magic.offset + 4, 4);
      if (isPoison(view, base)) take(magic.offset, 4);
    },
    lent: lentPage(page),
  };
}
