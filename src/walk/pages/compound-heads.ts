import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { ByteWindow } from '../../kernel/fast-reads.js';
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

/** Finds the first `struct page` of a compound allocation and its order, and holds tails against them. */
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

  /** The first `struct page` of the allocation that one is of, by that one, found in a window. */
  of(page: bigint, window: Readonly<ByteWindow>): bigint {
    return this.#headOf(page, window);
  }

  /**
   * Of a page of hugetlb whose `struct page`s the kernel has mapped to few pages (HVO), 5.18 to 7.0,
   * the tails that begin a page of the array read as the head does (page_fixed_fake_head).
   */
  mayBeFake(page: bigint, { view, base }: Readonly<ByteWindow>): boolean {
    return page % BigInt(this.#kernel.facts.pageSize) === 0n && this.#isHead(view, base);
  }

  /**
   * The head as the struct page behind tells it, which is a tail of the same.
   *
   * @throws {ReadError}
   */
  behind(page: bigint): bigint {
    const next = page + BigInt(this.#size);
    const head = this.#headOf(next, this.#look(next));
    return head === next ? page : head;
  }

  /**
   * Number of a head's page frame. A tail must lead to a head in one step: otherwise damage could send
   * us round in circles.
   *
   * @param page the tail's
   * @throws {KernelError} `damaged`; {@link ReadError}
   */
  frameOf(page: bigint, head: bigint): number {
    const frame = this.#kernel.pages.frameOfPage(this.#at.set(head));
    const sound = head < page && frame >= 0 && this.#isHeadAt(head);
    if (!sound) {
      throw new KernelError(
        'damaged',
        `the tail page ${hex(page)} leads to ${hex(head)}, which is no compound head`,
      );
    }
    return frame;
  }

  /**
   * log2 of an allocation's pages, by its first frame. The last is a tail of the first, and the one
   * behind is not. The buddy allocator cuts memory so that each begins at a multiple of its size.
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
    const odd = isLast ? `its frame ${frame} is no multiple of ${pages}` : 'its tails differ';
    throw new KernelError(
      'damaged',
      `the compound page ${hex(head)} claims order ${order}, and ${odd}`,
    );
  }

  /** Undefined where that cannot be read: an extract has what was asked for. */
  #leadsTo(frame: number, head: bigint): boolean | undefined {
    const page = this.#pageOf(frame);
    try {
      return this.#headOf(page, this.#look(page)) === head;
    } catch (error) {
      if (error instanceof ReadError) return undefined;
      throw error;
    }
  }

  #isHeadAt(page: bigint): boolean {
    const { view, base } = this.#look(page);
    return this.#isHead(view, base);
  }

  #pageOf(frame: number): bigint {
    return this.#kernel.pages.pageOfFrame(frame);
  }

  #look(page: bigint): Readonly<ByteWindow> {
    return this.#page.to(page).look(0, this.#size);
  }
}
