import { damaged } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { ByteWindow } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import { Pointer } from '../../kernel/pointer.js';
import { Cursor } from '../cursor.js';
import { readUnsigned } from '../struct-reader.js';
import type { Block } from './block.js';
import { FrameIndex, grown } from './frame-index.js';
import { type PagePool, PagePools, type PoolPageTest, poolPageTest } from './page-pool.js';
import { KfencePool, type SlabCache, SlabCaches } from './slab-caches.js';
import {
  CompoundHeads,
  flagTest,
  largeKmallocTest,
  memberOf,
  orderFinder,
  type PageTest,
  slabCacheOffset,
  slabTest,
  struct,
} from './struct-page.js';

/**
 * Value in place of an order: the page belongs to a slab, and its reference count is the number of the cache.
 */
const SLAB = -1;

/** Value in place of a reference count: infinitely many. */
const UNCOUNTED = 0xffff_ffff;

/**
 * Returns the allocation of a page frame. Remembers every frame, so that further calls are a table lookup: 32
 * bytes per frame.
 */
export class PageReader {
  readonly #kernel: Kernel;
  readonly #size: number;
  readonly #compound: CompoundHeads;
  readonly #isHead: PageTest;
  readonly #isSlab: PageTest;
  readonly #orderOf: (head: number) => number;
  readonly #slabCache: number;
  readonly #objects: MemberLayout | undefined;
  readonly #references: number;
  readonly #isLargeKmalloc: PageTest;
  readonly #poolPage: PoolPageTest | undefined;
  readonly #pools: PagePools;
  readonly #caches: SlabCaches;
  readonly #kfence: KfencePool;
  readonly #page: Cursor;
  readonly #at = new Pointer();
  #index = new FrameIndex();
  #heads = new Float64Array(0);
  #orders = new Int8Array(0);
  #counts = new Uint32Array(0);
  /** First frames of large kmallocs without references. */
  #unreferenced = new Set<number>();
  /** Numbers of page pools. */
  #lenders = new Uint16Array(0);

  /** @throws {KernelError} `unsupported-layout` if struct page has an unknown form */
  constructor(kernel: Kernel) {
    const page = struct(kernel, 'page');
    this.#kernel = kernel;
    this.#size = page.size;
    this.#page = new Cursor(kernel, 'struct page');
    this.#compound = new CompoundHeads(kernel);
    this.#isHead = flagTest(kernel, page, 'PG_head');
    this.#isSlab = slabTest(kernel, page);
    this.#orderOf = orderFinder(kernel, page);
    this.#slabCache = slabCacheOffset(kernel, page);
    this.#objects = kernel.struct('slab')?.member('objects') ?? page.member('objects');
    this.#references = memberOf(page, '_refcount').offset;
    this.#isLargeKmalloc = largeKmallocTest(kernel, page);
    this.#poolPage = poolPageTest(kernel, page);
    this.#pools = new PagePools(kernel);
    this.#caches = new SlabCaches(kernel);
    this.#kfence = new KfencePool(kernel);
  }

  /**
   * The allocation of the page described at `page`.
   *
   * @throws {ReadError} if its struct page cannot be read; {@link KernelError} `damaged` if it is no valid
   * struct page
   */
  block(page: bigint): Block {
    const row = this.rowOf(this.#at.set(page));
    const frame = this.headOf(row);
    const cache = this.cacheOf(row);
    if (cache !== undefined) return { kind: 'slab', frame, start: this.#startOf(frame), cache };
    const [order, references] = [this.orderOf(row), this.referencesOf(row)];
    const [free, pool] = [this.isFree(row), this.poolOf(row)];
    return { kind: 'page', frame, order, references, free, pool };
  }

  /** The row of the page frame that a `struct page` describes; throws as block does. */
  rowOf(page: Pointer): number {
    const frame = this.#kernel.pages.frameOfPage(page);
    if (frame >= 0) return this.row(frame);
    throw damaged(`${hex(page.address)} is not the address of a struct page`);
  }

  /** Returns the row of the allocation of a page frame; throws as block does. */
  row(frame: number): number {
    const known = this.#index.find(frame);
    return known >= 0 ? known : this.#read(frame);
  }

  /** Number of the allocation's first page frame. */
  headOf(row: number): number {
    return this.#heads[row]!;
  }

  /** The slab cache that the page belongs to; undefined if it is not a slab page. */
  cacheOf(row: number): SlabCache | undefined {
    return this.#orders[row] === SLAB ? this.#caches.at(this.#counts[row]!) : undefined;
  }

  /** log2 of the allocation's base pages; not for slabs. */
  orderOf(row: number): number {
    return this.#orders[row]!;
  }

  /** See PageBlock. */
  referencesOf(row: number): number {
    const count = this.#counts[row]!;
    return count === UNCOUNTED ? Number.POSITIVE_INFINITY : count;
  }

  /** See PageBlock. */
  poolOf(row: number): PagePool | undefined {
    return this.#pools.at(this.#lenders[row]!);
  }

  /**
   * Whether a page that is not a slab is free. A large kmalloc is allocated, but has no references since 7.0.
   */
  isFree(row: number): boolean {
    return this.#counts[row] === 0 && !this.#unreferenced.has(this.#heads[row]!);
  }

  /** Whether two addresses are in one slab slot, that of the page's row. */
  inOneSlot(row: number, first: bigint, second: bigint): boolean {
    const start = this.#startOf(this.#heads[row]!);
    const size = BigInt(this.#caches.at(this.#counts[row]!).slotSize);
    return first >= start && (first - start) / size === (second - start) / size;
  }

  /** Drops cached pages, so that those of a live kernel are read again. */
  forget(): void {
    this.#index = new FrameIndex();
    this.#unreferenced.clear();
    this.#pools.forget();
  }

  #read(frame: number): number {
    const page = this.#pageOf(frame);
    if (this.#kernel.pages.addressOfPage(page) === undefined) {
      throw damaged(`${hex(page)} is not the address of a struct page`);
    }
    const window = this.#window(page);
    let head = this.#compound.of(page, window);
    if (head === page && this.#compound.mayBeFake(page, window)) {
      head = this.#compound.headFromNextPage(page);
      this.#window(page);
    }
    if (head !== page) {
      const row = this.row(this.#compound.frameOf(page, head));
      const pages = 2 ** this.#orders[row]!;
      if (this.#orders[row] !== SLAB && frame >= this.#heads[row]! + pages) {
        throw damaged(`the tail page ${hex(page)} leads to ${hex(head)}, which has ${pages} pages`);
      }
      const [order, count] = [this.#orders[row]!, this.#counts[row]!];
      return this.#add(frame, this.#heads[row]!, order, count, this.#lenders[row]!);
    }
    const { view, base } = window;
    if (this.#isSlab(view, base)) {
      const cache = view.getBigUint64(base + this.#slabCache, true);
      const objects = this.#objects && readUnsigned(view, base + this.#objects.offset, this.#objects);
      const isHead = this.#isHead(view, base);
      const number = this.#caches.numberOf(cache);
      if (objects !== undefined) this.#checkObjects(frame, objects, isHead, number);
      return this.#add(frame, frame, SLAB, number, 0);
    }
    let references = view.getInt32(base + this.#references, true);
    if (references < 0) throw damaged(`the page ${hex(page)} counts ${references} references`);
    if (references === 0 && this.#isLargeKmalloc(view, base)) this.#unreferenced.add(frame);
    const isHead = this.#isHead(view, base);
    let pool = 0;
    if (this.#poolPage?.is(view, base)) {
      const lent = this.#poolPage.lent(view, base);
      references = Number(lent && lent.users < UNCOUNTED ? lent.users : UNCOUNTED);
      pool = this.#pools.numberOf(lent?.pool ?? 0n);
    }
    const order = isHead ? this.#compound.order(frame) : 0;
    return this.#add(frame, frame, order, references, pool);
  }

  #add(frame: number, head: number, order: number, count: number, pool: number): number {
    const row = this.#index.add(frame);
    if (row >= this.#heads.length) {
      const rows = grown(this.#heads.length);
      this.#heads = widened(new Float64Array(rows), this.#heads);
      this.#orders = widened(new Int8Array(rows), this.#orders);
      this.#counts = widened(new Uint32Array(rows), this.#counts);
      this.#lenders = widened(new Uint16Array(rows), this.#lenders);
    }
    this.#heads[row] = head;
    this.#orders[row] = order;
    this.#counts[row] = count;
    this.#lenders[row] = pool;
    return row;
  }

  #pageOf(frame: number): bigint {
    return this.#kernel.pages.pageOfFrame(frame);
  }

  #startOf(frame: number): bigint {
    return this.#kernel.pages.addressOfPage(this.#pageOf(frame)) ?? 0n;
  }

  #window(page: bigint): Readonly<ByteWindow> {
    return this.#page.to(page).look(0, this.#size);
  }

  /** Checks that a slab has as many slots as its pages have room for; a KFENCE page has one. */
  #checkObjects(head: number, objects: number, isHead: boolean, cache: number): void {
    const { slotSize } = this.#caches.at(cache);
    const bytes = this.#kernel.facts.pageSize * 2 ** (isHead ? this.#orderOf(head) : 0);
    if (objects === Math.floor(bytes / slotSize)) return;
    if (objects === 1 && !isHead && this.#kfence.mayHave(this.#startOf(head))) return;
    throw damaged(`the slab at ${hex(this.#pageOf(head))} claims ${objects} slots of ${slotSize} bytes in ${bytes}`);
  }
}

/** A longer array with the content of a shorter one. */
function widened<T extends Float64Array | Int8Array | Uint32Array | Uint16Array>(to: T, from: T): T {
  to.set(from);
  return to;
}
