import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { Cursor } from '../cursor.js';
import {
  flagTest,
  type HeadFinder,
  headFinder,
  memberOf,
  type PageTest,
  struct,
} from '../pages/struct-page.js';

/** Bits 1 and 0 of `page.mapping`: whose it is (PAGE_MAPPING_FLAGS in linux/page-flags.h). */
const [ANONYMOUS, FLAGS] = [1n, 3n];

/** What the `struct page` of a page frame that processes map says of it, by that of its allocation's first. */
export class MappedPageReader {
  /** Written to, and not as on the disk. */
  dirty = false;
  /** Used since the kernel last looked, by other ways than page tables too. */
  referenced = false;
  /** KSM's are not: they are anybody's. */
  anonymous = false;
  /** Address of its `struct address_space`; 0n: of no file. */
  mapping = 0n;
  /** Its place in the file, or in the anonymous memory it was made for, in base pages; undefined: not told. */
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
    // By its folio's name since 6.14 or so.
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
