import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../cursor.js';
import { flagTest, memberOf, type PageTest, struct } from './struct-page.js';

/** Tells pages that the kernel counts as somebody's: of files, processes, hugetlb, or set aside at boot. */
export class CountedPages {
  readonly #kernel: Kernel;
  readonly #page: Cursor;
  readonly #flags: readonly PageTest[];
  readonly #flagsAt: number;
  readonly #mapping: number;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#page = new Cursor(kernel, 'struct page');
    const page = struct(kernel, 'page');
    this.#flags = ['PG_lru', 'PG_reserved'].map((flag) => flagTest(kernel, page, flag));
    this.#flagsAt = memberOf(page, 'flags').offset;
    this.#mapping = memberOf(page, 'mapping').offset;
  }

  /** Whether the allocation that begins with this page frame is one. @throws {ReadError} */
  has(frame: number): boolean {
    const page = this.#page.to(this.#kernel.pages.pageOfFrame(frame));
    const { view, base } = page.look(this.#flagsAt, 8);
    if (this.#flags.some((test) => test(view, base))) return true;
    const mapping = page.look(this.#mapping, 8);
    return mapping.view.getBigUint64(mapping.base + this.#mapping, true) !== 0n;
  }
}
