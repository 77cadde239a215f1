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
  /** Takes into the view what tells it, and no more than it takes. @throws {ReadError} of `take` */
  fetch(take: (offset: number, length: number) => void, view: DataView, base: number): void;
}

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
  };
}
