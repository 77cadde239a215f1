import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { Cursor } from '../cursor.js';
import { readPartOf } from '../named-read.js';
import {
  flagTest,
  type HeadFinder,
  headFinder,
  memberOf,
  type PageTest,
  struct,
} from '../pages/struct-page.js';

/** Bits 1 and 0 of `page.mapping`: type of the mapping (PAGE_MAPPING_FLAGS in linux/page-flags.h). */
const [ANONYMOUS, FLAGS] = [1n, 3n];

/** Reads the `struct page` of a mapped frame, by the head of its allocation. */
export class MappedPageReader {
  /** Modified since it was last written to disk. */
  dirty = false;
  /** Referenced since the last reclaim scan, including references other than through page tables. */
  referenced = false;
  /** Anonymous, excluding KSM pages, which have no single owner. */
  anonymous = false;
  /** Address of its `struct address_space`; 0n: not a file page. */
  mapping = 0n;
  /** Index in the file or anonymous mapping, in base pages; undefined if unknown. */
  index: bigint | undefined;
  readonly #kernel: Kernel;
  readonly #page: Cursor;
  readonly #size: number;
  readonly #headOf: HeadFinder;
  readonly #isDirty: PageTest;
  readonly #isReferenced: PageTest;
  readonly #isYoung: PageTest | undefined;
  readonly #mappingAt: number;
  readonly #indexAt: number;
  readonly #at = new Pointer();

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    const page = struct(kernel, 'page');
    this.#kernel = kernel;
    this.#page = new Cursor(kernel, 'struct page');
    this.#size = page.size;
    this.#headOf = headFinder(kernel, page);
    this.#isDirty = flagTest(kernel, page, 'PG_dirty');
    this.#isReferenced = flagTest(kernel, page, 'PG_referenced');
    this.#isYoung = kernel.enumerators('pageflags')?.has('PG_young')
      ? flagTest(kernel, page, 'PG_young')
      : undefined;
    this.#mappingAt = memberOf(page, 'mapping').offset;
    // Named __folio_index since about 6.14.
    this.#indexAt = (page.member('index') ?? memberOf(page, '__folio_index')).offset;
  }

  /** @throws {ReadError} */
  read(frame: number): void {
    const page = this.#kernel.pages.pageOfFrame(frame);
    const own = this.#page.to(page).look(0, this.#size);
    const head = this.#headOf(page, own);
    const behind = head === page ? 0 : frame - this.#kernel.pages.frameOfPage(this.#at.set(head));
    const { view, base } = head === page ? own : this.#page.to(head).look(0, this.#size);
    this.dirty = this.#isDirty(view, base);
    this.referenced = this.#isReferenced(view, base) || (this.#isYoung?.(view, base) ?? false);
    const word = view.getBigUint64(base + this.#mappingAt, true);
    this.anonymous = (word & ANONYMOUS) !== 0n;
    this.mapping = (word & FLAGS) === 0n ? word : 0n;
    const places = this.mapping !== 0n || (word & FLAGS) === ANONYMOUS;
    this.index = places
      ? view.getBigUint64(base + this.#indexAt, true) + BigInt(behind)
      : undefined;
  }
}

/**
 * Returns the first frame of the huge zero page, which is mapped where memory was only read
 * (mm/huge_memory.c) and has no owner; -1 if there is none, or the kernel lacks the symbol. Its page table
 * entries are marked special only since 6.16.
 *
 * @throws {ReadError}
 */
export function hugeZeroFrame(kernel: Kernel): number {
  const at = kernel.symbol('huge_zero_pfn');
  if (at === undefined) return -1;
  const frame = readPartOf(kernel, 'huge_zero_pfn', at, at, 8).getBigUint64(0, true);
  return frame < 2n ** 52n ? Number(frame) : -1;
}
