import type { Kernel } from '../../kernel/kernel.js';
import { flagPlace, MAX_ORDER, memberOf, orderOffset, struct } from './struct-page.js';

/** Number of struct pages read at a time. */
const PART = 256;

/** Mappings of a large folio by its struct pages. */
export interface FolioMapcount {
  /** Number of base pages. */
  readonly pages: number;
  /** Sum of the page table mappings of all its pages: one mapping of the whole folio counts once for each. */
  readonly mappings: number;
}

/**
 * Reads how often a large folio is mapped: as a whole (`_entire_mapcount`, before 6.3 `compound_mapcount`), and
 * by pages. Their sum is `_large_mapcount` since 6.10, where kernels may keep no counts of single pages
 * (CONFIG_NO_PAGE_MAPCOUNT); before, each page has its own `_mapcount`. Before 6.2 that of a file's page includes
 * mappings of the whole, and that of an anonymous page has one more if PG_double_map is set. (mm/rmap.c)
 */
export class FolioMapcounts {
  readonly #kernel: Kernel;
  readonly #stride: number;
  readonly #order: number;
  readonly #mapcount: number;
  readonly #entire: number | undefined;
  readonly #large: number | undefined;
  readonly #head: { readonly offset: number; readonly mask: number };
  readonly #double: { readonly offset: number; readonly mask: number } | undefined;

  constructor(kernel: Kernel) {
    const page = struct(kernel, 'page');
    const folio = kernel.struct('folio');
    this.#kernel = kernel;
    this.#stride = page.size;
    this.#order = orderOffset(kernel, page);
    this.#mapcount = memberOf(page, '_mapcount').offset;
    const inSecond = page.member('compound_mapcount');
    this.#entire =
      folio?.member('_entire_mapcount')?.offset ?? (inSecond && page.size + inSecond.offset);
    this.#large = folio?.member('_large_mapcount')?.offset;
    this.#head = flagPlace(kernel, page, 'PG_head');
    if (kernel.enumerators('pageflags')?.has('PG_double_map'))
      this.#double = flagPlace(kernel, page, 'PG_double_map');
  }

  /**
   * @param isAnonymous whether its pages are anonymous
   * @returns undefined if the frame does not begin a compound page, or if the layout is unknown
   * @throws {ReadError}
   */
  of(frame: number, isAnonymous: boolean): FolioMapcount | undefined {
    const stride = this.#stride;
    if (this.#entire === undefined) return undefined;
    const view = this.#kernel.read(this.#kernel.pages.pageOfFrame(frame), 2 * stride);
    if ((view.getUint8(this.#head.offset) & this.#head.mask) === 0) return undefined;
    const order = view.getUint8(this.#order);
    if (order < 1 || order > MAX_ORDER) return undefined;
    const pages = 2 ** order;
    const entire = view.getInt32(this.#entire, true) + 1;
    if (this.#large !== undefined) {
      const all = view.getInt32(this.#large, true) + 1;
      return { pages, mappings: all - entire + pages * entire };
    }
    if (this.#double === undefined)
      return { pages, mappings: this.#sum(frame, pages) + pages * entire };
    if (!isAnonymous) return { pages, mappings: this.#sum(frame, pages) };
    const isDouble = (view.getUint8(stride + this.#double.offset) & this.#double.mask) !== 0;
    return {
      pages,
      mappings: this.#sum(frame, pages) + pages * (entire - (isDouble ? 1 : 0)),
    };
  }

  /** Sum of the mappings that each page counts by itself. */
  #sum(frame: number, pages: number): number {
    let sum = 0;
    for (let first = 0; first < pages; first += PART) {
      const many = Math.min(PART, pages - first);
      const page = this.#kernel.pages.pageOfFrame(frame + first);
      const view = this.#kernel.read(page, many * this.#stride);
      for (let at = 0; at < many; at++)
        sum += view.getInt32(at * this.#stride + this.#mapcount, true) + 1;
    }
    return sum;
  }
}
