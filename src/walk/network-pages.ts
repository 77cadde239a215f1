import { KernelError, ReadError } from '../kernel/error.js';
import type { Kernel } from '../kernel/kernel.js';
import { type PoolPageTest, poolPageTest } from './page-pool.js';
import { type SkbCache, skbCaches } from './skb-caches.js';
import type { PageLook, Take } from './slab-scan.js';
import { SlabUsage } from './slab-usage.js';

/** More pages of page_pools than this are counted, and no longer remembered one by one. */
const MOST_REMEMBERED = 2 ** 22;

/** What the scan over all page frames tells of the network's memory, in its one pass. */
export class NetworkPages implements PageLook {
  /** Caches of skbs and their heads. */
  readonly skbCaches: readonly SkbCache[];
  readonly caches: ReadonlySet<bigint>;
  readonly usage: SlabUsage;
  /** Whether this kernel's pages say that they are of a page_pool. */
  readonly knowsPools: boolean;
  /** The first `struct page` of each allocation that a page_pool owns. */
  readonly poolPages: bigint[] = [];
  /** The scan came to its end and could look at every frame. */
  complete = false;
  readonly #kernel: Kernel;
  readonly #pool: PoolPageTest | undefined;
  #missed = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.skbCaches = known(kernel);
    this.caches = new Set(this.skbCaches.map(({ address }) => address));
    this.usage = new SlabUsage(kernel, this.caches);
    const page = kernel.struct('page');
    this.#pool = page && poolPageTest(kernel, page);
    this.knowsPools = this.#pool !== undefined;
  }

  slab(cache: bigint, view: DataView, base: number): void {
    this.usage.slab(cache, view, base);
  }

  page(frame: number, view: DataView, base: number): void {
    if (!this.#pool?.is(view, base)) return;
    const address = this.#kernel.pageOfFrame(frame);
    if (address !== undefined && this.poolPages.length < MOST_REMEMBERED)
      this.poolPages.push(address);
    else this.#missed = true;
  }

  fetch(slab: boolean, take: Take, view: DataView, base: number): void {
    if (slab) this.usage.fetch(take);
    else this.#pool?.fetch(take, view, base);
  }

  missed(): void {
    this.#missed = true;
  }

  ended(): void {
    this.complete = !this.#missed;
  }
}

/** None where they cannot be found: then rows say so. */
function known(kernel: Kernel): SkbCache[] {
  try {
    return skbCaches(kernel);
  } catch (error) {
    if (error instanceof ReadError || error instanceof KernelError) return [];
    throw error;
  }
}
