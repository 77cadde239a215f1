import type { Figures, Ownership, Skb } from '../contracts/sockets.js';
import type { Pointer } from '../kernel/pointer.js';
import type { PagePool } from '../walk/pages/page-pool.js';
import type { SlabCache } from '../walk/pages/slab-caches.js';
import type { SkbSink } from '../walk/skbs/skb-slots.js';
import type { WarningCode, Warnings } from '../walk/warnings.js';
import { CloneCounts } from './clone-counts.js';
import { PageCounts, SharedTable, SlotCounts } from './counts.js';
import { overcounted, overlapping, type Pooled, PooledSum } from './pooled.js';

const NO_PAGES = new PageCounts();
const NO_SLOTS = new SlotCounts();
const NO_CLONES = new CloneCounts();
const NO_ROWS = new Uint32Array(0);

/** Counts the memory that skbs pin: each page, slab slot and shared info once. */
export class Tally implements SkbSink {
  readonly #pageSize: number;
  readonly #warnings: Warnings;
  /** References through the shared infos of clones are not included, neither here nor for slots. */
  readonly #pages = new SharedTable(NO_PAGES);
  readonly #slots = new SharedTable(NO_SLOTS);
  readonly #clones = new SharedTable(NO_CLONES);
  /** Number of slots with a single reference, by cache. */
  readonly #soleSlots = new Map<SlabCache, number>();
  /** Addresses of these slots, if requested. */
  readonly #soleAddresses: bigint[] | undefined;
  #skbs = 0;
  #payloadBytes = 0;
  #truesizeBytes = 0;
  #frags = 0;
  #maxFragsPerSkb = 0;
  #complete = true;

  /**
   * @param pageSize bytes of a base page
   * @param warnings receives what could not be determined
   * @param keepsSlots whether {@link slots} returns all of them
   */
  constructor(pageSize: number, warnings: Warnings, keepsSlots = false) {
    this.#pageSize = pageSize;
    this.#warnings = warnings;
    this.#soleAddresses = keepsSlots ? [] : undefined;
  }

  page(frame: number, order: number | undefined, references: number, via: bigint | undefined, pool?: PagePool): void {
    const found = via === undefined ? 1 : 0;
    const row = this.#pages.own().count(frame, order, references, found, pool);
    if (via !== undefined) this.#clones.own().addPage(via, row);
    if (order === undefined) this.#orderUnknown();
  }

  lentPage(frame: number, order: number | undefined, references: number, pool?: PagePool): void {
    this.#pages.own().count(frame, order, references, 0, pool);
    if (order === undefined) this.#orderUnknown();
  }

  slot(address: bigint, cache: SlabCache, references: number, via: bigint | undefined): void {
    const found = via === undefined ? 1 : 0;
    const row = this.#slots.own().count(address, cache, references, found);
    if (via !== undefined) this.#clones.own().addSlot(via, row);
  }

  soleSlot(cache: SlabCache, place: bigint | Pointer): void {
    this.#soleSlots.set(cache, (this.#soleSlots.get(cache) ?? 0) + 1);
    this.#soleAddresses?.push(typeof place === 'bigint' ? place : place.address);
  }

  /** Adds payload that is in no skb. */
  payload(bytes: number): void {
    this.#payloadBytes += bytes;
  }

  clone(sharedInfo: bigint, clones: number): boolean {
    return this.#clones.own().countClone(sharedInfo, clones);
  }

  cloneFrags(sharedInfo: bigint, frags: number): void {
    this.#clones.own().setFrags(sharedInfo, frags);
  }

  incomplete(code: WarningCode, message: string): void {
    this.#complete = false;
    this.#warnings.add(code, message);
  }

  /** Marks this sum as incomplete if anything was missed. */
  without(missed: Warnings): void {
    if (!missed.complete) this.#complete = false;
    this.#warnings.merge(missed);
  }

  remark(code: WarningCode, message: string): void {
    this.#warnings.add(code, message);
  }

  skb(skb: Skb): void {
    this.#skbs++;
    this.#payloadBytes += skb.length;
    this.#truesizeBytes += skb.truesize;
    this.#frags += skb.frags;
    this.#maxFragsPerSkb = Math.max(this.#maxFragsPerSkb, skb.frags);
  }

  /** Adds the contents of another tally; memory in both is counted once. */
  add(other: Tally): void {
    this.#addTables(other);
    for (const [cache, count] of other.#soleSlots) {
      this.#soleSlots.set(cache, (this.#soleSlots.get(cache) ?? 0) + count);
    }
    for (const address of (this.#soleAddresses && other.#soleAddresses) ?? []) this.#soleAddresses?.push(address);
    this.#skbs += other.#skbs;
    this.#payloadBytes += other.#payloadBytes;
    this.#truesizeBytes += other.#truesizeBytes;
    this.#frags += other.#frags;
    this.#maxFragsPerSkb = Math.max(this.#maxFragsPerSkb, other.#maxFragsPerSkb);
    this.#complete &&= other.#complete;
  }

  figures(): Figures {
    const orders: Record<string, number> = {};
    let unknown = 0;
    let pageBytes = 0;
    const pages = this.#pages.table;
    for (let row = 0; row < pages.size; row++) {
      const order = pages.order(row);
      if (order === undefined) unknown++;
      else orders[order] = (orders[order] ?? 0) + 1;
      pageBytes += this.#bytes(order);
    }
    const slots = this.#slots.table;
    let slabBytes = this.#soleSlotBytes();
    for (let row = 0; row < slots.size; row++) slabBytes += slots.cache(row).slotSize;
    return {
      skbs: this.#skbs,
      payloadBytes: this.#payloadBytes,
      truesizeBytes: this.#truesizeBytes,
      frags: this.#frags,
      maxFragsPerSkb: this.#maxFragsPerSkb,
      pages: pages.size,
      orders: { ...orders, unknown },
      pageBytes,
      slabBytes,
      pinnedBytes: pageBytes + slabBytes,
      complete: this.#complete,
    };
  }

  /** Warns if more references were found than the kernel counts, or a page pool is inconsistent. */
  checkReferences(): void {
    const [pages, slots, clones] = [this.#pages.table, this.#slots.table, this.#clones.table];
    const faults = new Set<string>();
    for (let row = 0; row < pages.size; row++) {
      const fault = pages.pool(row)?.fault;
      if (fault !== undefined) faults.add(fault);
    }
    for (const fault of faults) this.incomplete('corrupt', fault);
    for (const fault of overcounted(pages, slots, clones)) this.incomplete('corrupt', fault);
    for (const fault of overlapping(pages)) this.incomplete('corrupt', fault);
  }

  /** The part that returns to the allocators if all of it is dropped. */
  ownership(): Ownership {
    const { exclusiveBytes, sharedBytes } = this.shares();
    return { exclusiveBytes, sharedBytes };
  }

  /** The same, and the part lent by page pools: `freed` is exclusive, the remainder is shared. */
  shares(): Ownership & { readonly pooled: Pooled } {
    const [pages, slots] = [this.#pages.table, this.#slots.table];
    const pagesOfClones = new Uint32Array(pages.size);
    const slotsOfClones = new Uint32Array(slots.size);
    this.#clones.table.countWhole(pagesOfClones, slotsOfClones);
    let exclusiveBytes = this.#soleSlotBytes();
    let sharedBytes = 0;
    const lent = new PooledSum();
    for (let row = 0; row < pages.size; row++) {
      const bytes = this.#bytes(pages.order(row));
      const sole = pages.found(row) + pagesOfClones[row]! >= pages.references(row);
      const pool = pages.pool(row);
      if (pool) lent.add(pool, bytes, sole);
      else if (sole) exclusiveBytes += bytes;
      else sharedBytes += bytes;
    }
    for (let row = 0; row < slots.size; row++) {
      const { slotSize } = slots.cache(row);
      if (slots.found(row) + slotsOfClones[row]! >= slots.references(row)) {
        exclusiveBytes += slotSize;
      } else sharedBytes += slotSize;
    }
    const pooled = lent.sum();
    exclusiveBytes += pooled.freed;
    sharedBytes += pooled.bytes - pooled.freed;
    return { exclusiveBytes, sharedBytes, pooled };
  }

  /** Whether the allocation that begins with this frame is counted here. */
  holdsPage(frame: number): boolean {
    return this.#pages.table.find(frame) >= 0;
  }

  /** Yields the counted allocations: first frame, and log2 of the number of base pages if known. */
  *pages(): Generator<{ readonly frame: number; readonly order: number | undefined }> {
    const pages = this.#pages.table;
    for (let row = 0; row < pages.size; row++) {
      yield { frame: pages.frame(row), order: pages.order(row) };
    }
  }

  /** Addresses of its slots; those that only one skb can hold are included only if they are stored. */
  *slots(): Generator<bigint> {
    yield* this.#soleAddresses ?? [];
    const slots = this.#slots.table;
    for (let row = 0; row < slots.size; row++) yield slots.address(row);
  }

  /** Bytes that another tally pins and this one does not: the growth if it is added. */
  missingBytes(other: Tally): number {
    const [pages, others] = [this.#pages.table, other.#pages.table];
    let bytes = other.#soleSlotBytes();
    for (let row = 0; row < others.size; row++) {
      const order = others.order(row);
      const known = pages.find(others.frame(row));
      if (known < 0) bytes += this.#bytes(order);
      // An order unknown to one may be known to the other.
      else if (order !== undefined && pages.order(known) === undefined)
        bytes += this.#bytes(order) - this.#bytes(undefined);
    }
    const [slots, otherSlots] = [this.#slots.table, other.#slots.table];
    for (let row = 0; row < otherSlots.size; row++)
      if (slots.find(otherSlots.address(row)) < 0) bytes += otherSlots.cache(row).slotSize;
    return bytes;
  }

  /** Returns the number of slots found for each cache, by the address of its `struct kmem_cache`. */
  slotsByCache(): Map<bigint, number> {
    const counts = new Map<bigint, number>();
    const count = ({ address }: SlabCache, more: number) => counts.set(address, (counts.get(address) ?? 0) + more);
    for (const [cache, sole] of this.#soleSlots) count(cache, sole);
    const slots = this.#slots.table;
    for (let row = 0; row < slots.size; row++) count(slots.cache(row), 1);
    return counts;
  }

  #orderUnknown(): void {
    this.incomplete(
      'order-unknown',
      'the order of some allocations is not recorded by the kernel: each counts as one page',
    );
  }

  #soleSlotBytes(): number {
    let bytes = 0;
    for (const [{ slotSize }, count] of this.#soleSlots) bytes += slotSize * count;
    return bytes;
  }

  /**
   * Adds the smaller tables to the larger ones, and copies only if needed: otherwise a million pages would
   * soon have five tables.
   */
  #addTables(other: Tally): void {
    let less = other.#tables();
    if (other.#rows() > this.#rows()) {
      less = this.#tables();
      this.#pages.take(other.#pages);
      this.#slots.take(other.#slots);
      this.#clones.take(other.#clones);
    }
    const { pages, slots, clones } = less;
    const pageRows = pages.size > 0 ? this.#pages.own().add(pages) : NO_ROWS;
    const slotRows = slots.size > 0 ? this.#slots.own().add(slots) : NO_ROWS;
    if (clones.size === 0) return;
    // Both tallies counted the frags of shared infos that are in both.
    this.#frags -= this.#clones.own().add(clones, pageRows, slotRows);
  }

  #tables() {
    return { pages: this.#pages.table, slots: this.#slots.table, clones: this.#clones.table };
  }

  #rows(): number {
    const { pages, slots, clones } = this.#tables();
    return pages.size + slots.size + clones.size;
  }

  /** An allocation of unknown order holds at least its first page. */
  #bytes(order: number | undefined): number {
    return this.#pageSize * 2 ** (order ?? 0);
  }
}
