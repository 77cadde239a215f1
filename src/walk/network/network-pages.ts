import { damaged, KernelError, ReadError, readOrNot, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';
import { cpuMask, perCpuAddress } from '../cpus.js';
import { Cursor } from '../cursor.js';
import { readPartOf } from '../named-read.js';
import { cpuFragPages, type FragPage, SendFrags } from '../pages/page-frag-cache.js';
import { type PoolPageTest, poolPageTest } from '../pages/page-pool.js';
import { type SkbCache, skbCaches, uncountedSlabs } from '../pages/slab-caches.js';
import type { PageVisitor, Take } from '../pages/slab-scan.js';
import { SlabUsage } from '../pages/slot-use.js';
import { flagPlace, flagTest, MAX_ORDER, memberOf, orderOffset, type PageTest, struct } from '../pages/struct-page.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';

/** Maximum number of page_pool pages that are recorded; further ones are only counted. */
const MAX_REMEMBERED = 2 ** 22;

/** Network memory found in the single scan of all page frames. */
export class NetworkPages implements PageVisitor {
  /** Slab caches of skbs and their heads; empty if they cannot be found. */
  readonly skbCaches: readonly SkbCache[];
  /** Reason why they cannot be found, if so. */
  readonly noSkbCaches: KernelError | ReadError | undefined;
  readonly usage: SlabUsage;
  /** Whether pages of this kernel are marked as page_pool pages. */
  readonly knowsPools: boolean;
  /** Whether the scan was completed and read every frame. */
  complete = false;
  readonly #kernel: Kernel;
  readonly #poolPages: bigint[] = [];
  readonly #pools: PoolTotals;
  /** Number of slabs of each cache. */
  readonly #slabs = new Map<bigint, number>();
  readonly #pool: PoolPageTest | undefined;
  readonly #head: { readonly offset: number; readonly mask: number };
  readonly #order: number;
  readonly #network: ReadonlySet<bigint>;
  #missed = false;
  #slabPages = 0;
  /** Number of slabs whose order could not be read. */
  #ordersMissed = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const caches = known(kernel);
    this.skbCaches = Array.isArray(caches) ? caches : [];
    this.noSkbCaches = Array.isArray(caches) ? undefined : caches;
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
   * @throws {KernelError} `damaged` if a pool's own count differs
   */
  get poolPages(): readonly bigint[] {
    if (this.complete && !this.#kernel.facts.live) this.#pools.check();
    return this.#poolPages;
  }

  /**
   * Number of base pages of slabs, for all caches; undefined if some are unknown.
   *
   * @throws {KernelError} `damaged` if a cache counts more slabs than were found
   */
  get slabPages(): number | undefined {
    const { live } = this.#kernel.facts;
    const fault = this.complete && !live ? uncountedSlabs(this.#kernel, this.#slabs) : undefined;
    if (fault !== undefined) throw damaged(fault);
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
    if (this.#poolPages.length < MAX_REMEMBERED) this.#poolPages.push(this.#kernel.pages.pageOfFrame(frame));
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
 * Compares the number of pages marked as belonging to a page pool with the pool's own count
 * (page_pool_inflight in net/core/page_pool.c).
 */
class PoolTotals {
  readonly #kernel: Kernel;
  /** Offset of the pointer to its page pool in struct page, in bytes. */
  readonly #pool: number | undefined;
  readonly #pages = new Map<bigint, number>();
  /** Whether the pool of some page is not in the dump. */
  #unknown = false;

  constructor(kernel: Kernel, page: StructLayout) {
    this.#kernel = kernel;
    this.#pool = page.member('pp')?.offset;
  }

  /** Counts a page of a pool. */
  page(view: DataView, base: number): void {
    if (this.#pool === undefined) return;
    const pool = view.getBigUint64(base + this.#pool, true);
    this.#pages.set(pool, (this.#pages.get(pool) ?? 0) + 1);
  }

  /** Extracts the members that `page` reads. */
  fetch(take: Take): void {
    const at = this.#pool;
    if (at === undefined) return;
    if (readOrNot(() => [take(at, 8)]) === undefined) this.#unknown = true;
  }

  /** Checks the totals after all pages were visited. Does nothing if the dump lacks the pools. */
  check(): void {
    const layout = this.#kernel.struct('page_pool');
    if (this.#unknown || COUNTERS.some((path) => !layout?.member(path))) return;
    const reader = new StructReader(this.#kernel, 'page_pool', COUNTERS);
    // Pages of a memory provider do not belong to the machine.
    const provider = layout?.member('mp_priv') ? new StructReader(this.#kernel, 'page_pool', ['mp_priv']) : undefined;
    for (const [pool, count] of this.#pages) {
      const counted = readOrNot(() => {
        if (provider && provider.read(pool).pointer('mp_priv') !== 0n) return undefined;
        const view = reader.read(pool);
        return (view.number(COUNTERS[0]) - view.number(COUNTERS[1])) >>> 0;
      });
      if (counted === undefined || counted === count) continue;
      throw damaged(`the page pool ${hex(pool)} counts ${counted} pages, but ${count} were found`);
    }
  }
}

/** Recognizes pages that kernel counters cover: file pages, process pages, hugetlb, or reserved at boot. */
export class CountedPages {
  readonly #kernel: Kernel;
  readonly #page: Cursor;
  readonly #flags: readonly PageTest[];
  readonly #flagsAt: number;
  readonly #mapping: number;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#page = new Cursor(kernel, 'struct page');
    const page = struct(kernel, 'page');
    this.#flags = ['PG_lru', 'PG_reserved'].map((flag) => flagTest(kernel, page, flag));
    this.#flagsAt = memberOf(page, 'flags').offset;
    this.#mapping = memberOf(page, 'mapping').offset;
  }

  /** Whether the allocation that begins with this page frame is such a page. */
  has(frame: number): boolean {
    const page = this.#page.to(this.#kernel.pages.pageOfFrame(frame));
    const { view, base } = page.look(this.#flagsAt, 8);
    if (this.#flags.some((test) => test(view, base))) return true;
    const mapping = page.look(this.#mapping, 8);
    return mapping.view.getBigUint64(mapping.base + this.#mapping, true) !== 0n;
  }
}

/**
 * Pages that CPUs, tasks and sockets keep to allocate fragments from. A page may occur more than once.
 *
 * @param socks addresses of all `struct sock`s
 */
export function keptFragPages(kernel: Kernel, socks: readonly bigint[]): FragPage[] {
  const kept: FragPage[] = [...cpuFragPages(kernel)].map((page) => ({ page, size: undefined }));
  const frags = new SendFrags(kernel);
  const { processes, threads, lost } = taskTable(kernel);
  if (lost) throw lost;
  for (const process of processes) {
    for (const thread of threads(process)) {
      const page = frags.ofTask(thread.address);
      if (page !== undefined) kept.push(page);
    }
  }
  for (const sock of socks) {
    const page = frags.ofSock(sock);
    if (page !== undefined) kept.push(page);
  }
  return kept;
}

/** Number of free skbs in per-CPU caches: `napi_alloc_cache.skb_cache` (net/core/skbuff.c). */
export function napiReserve(kernel: Kernel): number {
  const template = kernel.symbol('napi_alloc_cache');
  const count = kernel.struct('napi_alloc_cache')?.member('skb_count');
  const slots = kernel.struct('napi_alloc_cache')?.member('skb_cache')?.count;
  if (template === undefined || !count || slots === undefined) {
    throw unsupportedLayout('this kernel has no napi_alloc_cache');
  }
  let kept = 0;
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const cache = perCpuAddress(kernel, template, cpu);
    const at = cache + BigInt(count.offset);
    const whole = 'struct napi_alloc_cache';
    const own = readPartOf(kernel, whole, cache, at, 4).getUint32(0, true);
    if (own > slots) throw damaged(`CPU ${cpu} keeps ${own} skbs in ${slots} places`);
    kept += own;
  }
  return kept;
}
