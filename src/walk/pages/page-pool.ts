import { damaged, KernelError, ReadError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';
import { PtrRingReader } from '../ptr-ring.js';
import { readUnsigned, StructReader } from '../struct-reader.js';
import { type PageTest, pageTypes } from './struct-page.js';

/** PP_SIGNATURE minus POISON_POINTER_DELTA (include/linux/poison.h); the low two bits are flags. */
const SIGNATURE = 0x40;

/** Upper half of CONFIG_ILLEGAL_POINTER_VALUE, on x86_64 and arm64 alike. */
const POISON = 0xdead0000;

/** Bits of `pp_magic` below those that hold an index for DMA since 6.16 (PP_DMA_INDEX_SHIFT). */
const SIGNATURE_BITS = 0x7c;

/** Determines from a `struct page`, at `base` of a view, whether it is the first of a pool's allocation. */
export interface PoolPageTest {
  readonly is: PageTest;
  /**
   * Returns the pool that receives the page back from its last user, and the number of users; undefined if
   * unknown, for example for a page with other references.
   */
  lent(view: DataView, base: number): LentPage | undefined;
  /** Adds only the required members to the view. @throws {ReadError} of `take` */
  fetch(take: (offset: number, length: number) => void, view: DataView, base: number): void;
}

export interface LentPage {
  /** Address of the `struct page_pool`. */
  readonly pool: bigint;
  /** `pp_ref_count`, 6.8 and later. */
  readonly users: bigint;
}

/**
 * Returns the pool's treatment of a page (__page_pool_page_can_be_recycled, net/core/page_pool.c): it
 * recycles pages without other references, except those of the emergency reserve (pfmemalloc).
 */
function lentPage(page: StructLayout): PoolPageTest['lent'] {
  const [pool, users, references, lru] = ['pp', 'pp_ref_count', '_refcount', 'lru'].map((name) => page.member(name));
  if (!pool || !users || !references || !lru) return () => undefined;
  return (view, base) => {
    if (view.getUint32(base + references.offset, true) !== 1) return undefined;
    if ((view.getUint32(base + lru.offset, true) & PFMEMALLOC) !== 0) return undefined;
    const counted = view.getBigInt64(base + users.offset, true);
    if (counted < 1n) return undefined;
    return { pool: view.getBigUint64(base + pool.offset, true), users: counted };
  };
}

/** Bit of `lru.next` (page_is_pfmemalloc in include/linux/mm.h). */
const PFMEMALLOC = 2;

/**
 * Returns the test for page pool pages: by the page type since 7.1, by `pp_magic` since 5.14
 * (include/linux/mm.h, page_pool_page_is_pp). Undefined for older kernels, whose pages have no mark.
 */
export function poolPageTest(kernel: Kernel, page: StructLayout): PoolPageTest | undefined {
  const type = pageTypes(kernel)?.get('PGTY_netpp');
  const pageType = page.member('page_type');
  if (type !== undefined && pageType) {
    const top = Number(type);
    return {
      is: (view, base = 0) => readUnsigned(view, base + pageType.offset, pageType) >>> 24 === top,
      fetch: (take) => take(pageType.offset, pageType.size),
      lent: lentPage(page),
    };
  }
  const magic = page.member('pp_magic');
  if (!magic) return undefined;
  const isPoison = (view: DataView, base: number): boolean => view.getUint32(base + magic.offset + 4, true) === POISON;
  return {
    is: (view, base = 0) =>
      isPoison(view, base) && (view.getUint32(base + magic.offset, true) & SIGNATURE_BITS) === SIGNATURE,
    // Other pages have pointers there: half of one is enough to know.
    fetch(take, view, base) {
      take(magic.offset + 4, 4);
      if (isPoison(view, base)) take(magic.offset, 4);
    },
    lent: lentPage(page),
  };
}

/**
 * Remaining room of a driver's page pool. Returned pages beyond it go to the buddy allocator
 * (page_pool_put_unrefed_netmem, net/core/page_pool.c).
 */
export interface PagePool {
  /** Address of the `struct page_pool`; 0 if the page's pool is unknown. */
  readonly address: bigint;
  /** Free entries of its ring. */
  readonly ringRoom: number;
  /**
   * The same including its cache, which only takes pages dropped while its own NAPI polls; infinite if the
   * pool could not be read.
   */
  readonly room: number;
  /** Contradiction in a dump, because of which its room is unknown. */
  readonly fault?: string;
}

/** Pool of a page whose pool is unknown or may not take it back. */
export const UNKNOWN_POOL: PagePool = { address: 0n, ringRoom: 0, room: Number.POSITIVE_INFINITY };

/** Caches pools by number, as pages refer to them. */
export class PagePools {
  readonly #kernel: Kernel;
  readonly #numbers = new Map<bigint, number>([[0n, 1]]);
  /** Pools by number; 0 means no pool. */
  readonly #pools: (PagePool | undefined)[] = [undefined, UNKNOWN_POOL];
  #reader: RoomReader | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** The pool of a number; undefined for 0 (no pool). */
  at(number: number): PagePool | undefined {
    return this.#pools[number];
  }

  /** The number of the pool at an address; the unknown pool's if that is 0, or if there are too many. */
  numberOf(address: bigint): number {
    const known = this.#numbers.get(address);
    if (known !== undefined) return known;
    if (this.#pools.length > MAX_POOLS) return 1;
    const number = this.#pools.push(this.#read(address)) - 1;
    this.#numbers.set(address, number);
    return number;
  }

  /** Drops cached data, which may have changed. */
  forget(): void {
    this.#numbers.clear();
    this.#numbers.set(0n, 1);
    this.#pools.length = 2;
  }

  #read(address: bigint): PagePool {
    try {
      this.#reader ??= new RoomReader(this.#kernel);
      return this.#reader.read(address);
    } catch (error) {
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
      const isFault = error instanceof KernelError && error.code === 'damaged' && !this.#kernel.facts.live;
      return { ...UNKNOWN_POOL, address, ...(isFault ? { fault: error.message } : {}) };
    }
  }
}

/** Maximum number of distinct pools: their numbers have 16 bits. */
const MAX_POOLS = 65_000;

class RoomReader {
  readonly #ring: PtrRingReader;
  readonly #pool;
  readonly #provider: StructReader<'mp_priv'> | undefined;
  readonly #operations: StructReader<'mp_ops'> | undefined;
  readonly #deferred: StructReader<'defer_start'> | undefined;
  readonly #ringAt: number;
  /** Maximum number of pages in a pool's cache (PP_ALLOC_CACHE_SIZE). */
  readonly #cache: number;

  constructor(kernel: Kernel) {
    this.#ring = new PtrRingReader(kernel);
    this.#pool = new StructReader(kernel, 'page_pool', ['alloc.count', 'destroy_cnt']);
    this.#deferred = StructReader.ifPresent(kernel, 'page_pool', ['defer_start']);
    const { members } = new StructReader(kernel, 'page_pool', ['ring', 'alloc.cache']);
    this.#ringAt = members.ring.offset;
    this.#cache = members['alloc.cache'].count ?? 0;
    if (kernel.struct('page_pool')?.member('mp_priv')) {
      this.#provider = new StructReader(kernel, 'page_pool', ['mp_priv']);
      this.#operations = StructReader.ifPresent(kernel, 'page_pool', ['mp_ops']);
    }
  }

  read(address: bigint): PagePool {
    // Its pages come from a memory provider, and return there (dma-buf, io_uring).
    const isProvided = this.#provider !== undefined && this.#provider.read(address).pointer('mp_priv') !== 0n;
    const operations = readOrNot(() => this.#operations?.read(address).pointer('mp_ops'));
    if (operations !== undefined && (operations !== 0n) !== isProvided)
      throw damaged(`mp_priv and mp_ops of the page pool ${hex(address)} are inconsistent`);
    if (isProvided) return { ...UNKNOWN_POOL, address };
    const pool = this.#pool.read(address);
    // A pool that is being destroyed empties its ring repeatedly until its last page has returned.
    const isDestroyed = pool.number('destroy_cnt') !== 0;
    // page_pool_destroy sets the time of the first attempt.
    const started = this.#deferred && readOrNot(() => this.#deferred?.read(address).pointer('defer_start'));
    if (started !== undefined && (started !== 0n) !== isDestroyed)
      throw damaged(`destroy_cnt and defer_start of the page pool ${hex(address)} are inconsistent`);
    if (isDestroyed) return { address, ringRoom: 0, room: 0 };
    const cached = pool.number('alloc.count');
    if (cached > this.#cache) {
      const message = `the page pool ${hex(address)} has ${cached} pages in a cache of ${this.#cache}`;
      throw damaged(message);
    }
    const ringRoom = this.#ring.room(address + BigInt(this.#ringAt));
    return { address, ringRoom, room: ringRoom + this.#cache - cached };
  }
}
