import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import { type PoolPageTest, poolPageTest } from './page-pool.js';
import { type SkbCache, skbCaches } from './skb-caches.js';
import type { PageVisitor, Take } from './slab-scan.js';
import { uncountedSlabs } from './slab-totals.js';
import { SlabUsage } from './slab-usage.js';
import { flagPlace, MAX_ORDER, orderOffset, struct } from './struct-page.js';

/** More pages of page_pools than this are counted, and no longer remembered one by one. */
const MOST_REMEMBERED = 2 ** 22;

/** What the scan over all page frames tells of the network's memory, in its one pass. */
export class NetworkPages implements PageVisitor {
  /** Caches of skbs and their heads; none where they cannot be found. */
  readonly skbCaches: readonly SkbCache[];
  /** Why they cannot, if that is so. */
  readonly noSkbCaches: KernelError | ReadError | undefined;
  readonly usage: SlabUsage;
  /** Whether this kernel's pages say that they are of a page_pool. */
  readonly knowsPools: boolean;
  /** The scan came to its end and could look at every frame. */
  complete = false;
  readonly #kernel: Kernel;
  readonly #poolPages: bigint[] = [];
  readonly #pools: PoolTotals;
  /** Slabs of each cache. */
  readonly #slabs = new Map<bigint, number>();
  readonly #pool: PoolPageTest | undefined;
  readonly #head: { readonly offset: number; readonly mask: number };
  readonly #order: number;
  readonly #network: ReadonlySet<bigint>;
  #missed = false;
  #slabPages = 0;
  /** Slabs whose order could not be had. */
  #ordersMissed = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const found = known(kernel);
    this.skbCaches = Array.isArray(found) ? found : [];
    this.noSkbCaches = Array.isArray(found) ? undefined : found;
    this.#network = new Set(this.skbCaches.map(({ address }) => address));
    this.usage = new SlabUsage(kernel, this.#network);
    const page = struct(kernel, 'page');
    this.#pool = poolPageTest(kernel, page);
    this.#head = flagPlace(kernel, page, 'PG_head');
    this.#order = orderOffset(kernel, page);
    this.knowsPools = this.#pool !== undefined;
    this.#pools = new PoolTotals(kernel, page);
  }

  /**
   * The first `struct page` of each allocation that a page_pool owns.
   *
   * @throws {KernelError} `damaged` where a pool counts others
   */
  get poolPages(): readonly bigint[] {
    if (this.complete && !this.#kernel.facts.live) this.#pools.check();
    return this.#poolPages;
  }

  /**
   * Base pages that slabs take, of all caches; undefined where not all of them could be told.
   *
   * @throws {KernelError} `damaged` where a cache counts more slabs
   */
  get slabPages(): number | undefined {
    const { live } = this.#kernel.facts;
    const fault = this.complete && !live ? uncountedSlabs(this.#kernel, this.#slabs) : undefined;
    if (fault !== undefined) throw new KernelError('damaged', fault);
    return this.complete && this.#ordersMissed === 0 ? this.#slabPages : undefined;
  }

  slab(cache: bigint, view: DataView, base: number): void {
    this.#slabs.set(cache, (this.#slabs.get(cache) ?? 0) + 1);
    this.usage.slab(cache, view, base);
    const at = base + this.#order;
    const order = !this.#isHead(view, base) || at >= view.byteLength ? 0 : view.getUint8(at);
    if (order <= MAX_ORDER) this.#slabPages += 2 ** order;
    else this.#ordersMissed++;
  }

  page(frame: number, view: DataView, base: number): void {
    if (!this.#pool?.is(view, base)) return;
    this.#pools.page(view, base);
    if (this.#poolPages.length < MOST_REMEMBERED)
      this.#poolPages.push(this.#kernel.pages.pageOfFrame(frame));
    else this.#missed = true;
  }

  fetch(cache: bigint | undefined, take: Take, view: DataView, base: number): void {
    if (cache === undefined) {
      this.#pool?.fetch(take, view, base);
      if (this.#pool?.is(view, base)) this.#pools.fetch(take);
      return;
    }
    if (this.#network.has(cache)) this.usage.fetch(take);
    try {
      take(this.#head.offset, 1);
      if (this.#isHead(view, base) && base + this.#order < view.byteLength) take(this.#order, 1);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      this.#ordersMissed++;
    }
  }

  #isHead(view: DataView, base: number): boolean {
    return (view.getUint8(base + this.#head.offset) & this.#head.mask) !== 0;
  }

  missed(): void {
    this.#missed = true;
  }

  ended(): void {
    this.complete = !this.#missed;
  }
}

function known(kernel: Kernel): SkbCache[] | KernelError | ReadError {
  try {
    return skbCaches(kernel);
  } catch (error) {
    if (error instanceof ReadError || error instanceof KernelError) return error;
    throw error;
  }
}

const COUNTERS = ['pages_state_hold_cnt', 'pages_state_release_cnt.counter'] as const;

/**
 * Holds the pages that say that they are of a page pool against what the pool has taken and not given
 * back (page_pool_inflight in net/core/page_pool.c).
 */
class PoolTotals {
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
