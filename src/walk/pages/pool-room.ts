import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { PtrRingReader } from '../network/ptr-ring.js';
import { StructReader } from '../struct-reader.js';

/**
 * How many more pages a driver's page pool has room for, as it was found. What it has no room for when
 * it gets it back goes to the buddy allocator (page_pool_put_unrefed_netmem in net/core/page_pool.c).
 */
export interface PagePool {
  /** Of the `struct page_pool`; 0: which one the page belongs to is not known. */
  readonly address: bigint;
  /** Pages that its ring has room for: whoever drops them. */
  readonly ringRoom: number;
  /**
   * The same with its cache, which takes only what is dropped while its own NAPI polls; infinitely
   * many where the pool could not be read.
   */
  readonly room: number;
}

/** Of a page whose pool is not known, or of which it cannot be told that the pool takes it back. */
export const UNKNOWN_POOL: PagePool = {
  address: 0n,
  ringRoom: 0,
  room: Number.POSITIVE_INFINITY,
};

/** Remembers pools by number, as pages name them. */
export class PagePools {
  readonly #kernel: Kernel;
  readonly #numbers = new Map<bigint, number>([[0n, 1]]);
  /** 0 is no pool's. */
  readonly #pools: (PagePool | undefined)[] = [undefined, UNKNOWN_POOL];
  #reader: RoomReader | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Undefined of 0: none. */
  at(number: number): PagePool | undefined {
    return this.#pools[number];
  }

  /** The number of the pool at an address; one that is not known if that is 0, or there are too many. */
  numberOf(address: bigint): number {
    const known = this.#numbers.get(address);
    if (known !== undefined) return known;
    if (this.#pools.length > MOST_POOLS) return 1;
    const number = this.#pools.push(this.#read(address)) - 1;
    this.#numbers.set(address, number);
    return number;
  }

  /** What was read may have changed. */
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
      return { ...UNKNOWN_POOL, address };
    }
  }
}

/** More are not told apart: numbers have 16 bits. */
const MOST_POOLS = 65_000;

class RoomReader {
  readonly #ring: PtrRingReader;
  readonly #pool;
  readonly #provider: StructReader<'mp_priv'> | undefined;
  readonly #ringAt: number;
  /** Pages that a cache holds (PP_ALLOC_CACHE_SIZE). */
  readonly #cache: number;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#ring = new PtrRingReader(kernel);
    this.#pool = new StructReader(kernel, 'page_pool', ['alloc.count', 'destroy_cnt']);
    const { members } = new StructReader(kernel, 'page_pool', ['ring', 'alloc.cache']);
    this.#ringAt = members.ring.offset;
    this.#cache = members['alloc.cache'].count ?? 0;
    if (kernel.struct('page_pool')?.member('mp_priv')) {
      this.#provider = new StructReader(kernel, 'page_pool', ['mp_priv']);
    }
  }

  /** @throws {KernelError} `damaged`; {@link ReadError} */
  read(address: bigint): PagePool {
    // Its pages come from somewhere else, and go back there (dma-buf, io_uring).
    if (this.#provider && this.#provider.read(address).pointer('mp_priv') !== 0n) {
      return { ...UNKNOWN_POOL, address };
    }
    const pool = this.#pool.read(address);
    // Being destroyed, it empties its ring again and again until its last page has come.
    if (pool.number('destroy_cnt') !== 0) return { address, ringRoom: 0, room: 0 };
    const cached = pool.number('alloc.count');
    if (cached > this.#cache) {
      const message = `the page pool ${hex(address)} has ${cached} pages in a cache of ${this.#cache}`;
      throw new KernelError('damaged', message);
    }
    const ringRoom = this.#ring.room(address + BigInt(this.#ringAt));
    return { address, ringRoom, room: ringRoom + this.#cache - cached };
  }
}
