import { KernelError } from '../../kernel/error.js';
import { hex } from '../../kernel/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import type { Take } from './slab-scan.js';

const COUNTERS = ['pages_state_hold_cnt', 'pages_state_release_cnt.counter'] as const;

/**
 * Holds the pages that say that they are of a page pool against what the pool has taken and not given
 * back (page_pool_inflight in net/core/page_pool.c).
 */
export class PoolTotals {
  readonly #kernel: Kernel;
  /** Where a page names its pool, in bytes from its struct page. */
  readonly #pool: number | undefined;
  readonly #pages = new Map<bigint, number>();
  /** Some page's pool is not in the dump. */
  #unknown = false;

  constructor(kernel: Kernel, page: StructLayout) {
    this.#kernel = kernel;
    this.#pool = page.member('pp')?.offset;
  }

  /** Takes a page of a pool into account. */
  page(view: DataView, base: number): void {
    if (this.#pool === undefined) return;
    const pool = view.getBigUint64(base + this.#pool, true);
    this.#pages.set(pool, (this.#pages.get(pool) ?? 0) + 1);
  }

  /** Takes what `page` looks at. */
  fetch(take: Take): void {
    const at = this.#pool;
    if (at === undefined) return;
    if (readOrNot(() => [take(at, 8)]) === undefined) this.#unknown = true;
  }

  /**
   * To be asked when all pages have been seen. Nothing is said where the dump lacks the pools.
   *
   * @throws {KernelError} `damaged`
   */
  check(): void {
    const layout = this.#kernel.struct('page_pool');
    if (this.#unknown || COUNTERS.some((path) => !layout?.member(path))) return;
    const reader = new StructReader(this.#kernel, 'page_pool', COUNTERS);
    // Pages of a provider of memory are none of the machine's.
    const provider = layout?.member('mp_priv')
      ? new StructReader(this.#kernel, 'page_pool', ['mp_priv'])
      : undefined;
    for (const [pool, found] of this.#pages) {
      const counted = readOrNot(() => {
        if (provider && provider.read(pool).pointer('mp_priv') !== 0n) return undefined;
        const view = reader.read(pool);
        return (view.number(COUNTERS[0]) - view.number(COUNTERS[1])) >>> 0;
      });
      if (counted === undefined || counted === found) continue;
      const message = `the page pool ${hex(pool)} counts ${counted} pages, and ${found} were found`;
      throw new KernelError('damaged', message);
    }
  }
}
