import { damaged, ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { ByteWindow } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { Cursor } from '../cursor.js';
import {
  flagTest,
  type HeadFinder,
  headFinder,
  orderFinder,
  type PageTest,
  struct,
} from './struct-page.js';

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

  /** @throws {KernelError} `unsupported-layout` */
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

  /**
   * Returns the head stored in the next struct page, a tail of the same compound page.
   *
   * @throws {ReadError}
   */
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
   * @throws {KernelError} `damaged`; {@link ReadError}
   */
  frameOf(page: bigint, head: bigint): number {
    const frame = this.#kernel.pages.frameOfPage(this.#at.set(head));
    const sound = head < page && frame >= 0 && this.#isHeadAt(head);
    if (!sound) {
      throw damaged(
        `the tail page ${hex(page)} leads to ${hex(head)}, which is not a compound head`,
      );
    }
    return frame;
  }

  /**
   * Returns log2 of an allocation's base pages, given its first frame. Checks that the last page is a tail of
   * the first and the page after it is not, and that the allocation is aligned to its size, as buddy blocks
   * are.
   *
   * @throws {KernelError} `damaged`; {@link ReadError}
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
    try {
      return this.#headOf(page, this.#window(page)) === head;
    } catch (error) {
      if (error instanceof ReadError) return undefined;
      throw error;
    }
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
