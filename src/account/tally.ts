import type { PageBlock, SlabBlock } from '../walk/pages.js';
import type { Skb, SkbSink } from '../walk/skb.js';
import type { WarningCode, Warnings } from '../walk/warnings.js';
import type { Figures } from './figures.js';

interface PageCount {
  /** log2 of base pages; undefined if no reference told. */
  order: number | undefined;
  /** References that the kernel counts. */
  readonly references: number;
  /** References found, those through the shared infos of clones left out. */
  found: number;
}

interface SlotCount {
  readonly size: number;
  readonly cache: bigint;
  readonly references: number;
  found: number;
}

/** A shared info that several clones have in common, and the pages it holds, once per reference. */
interface CloneCount {
  readonly clones: number;
  found: number;
  readonly pages: bigint[];
}

/** Bytes that nobody else holds, and bytes that somebody does. */
export interface Ownership {
  /** All references found here: this much goes back if all of it is dropped. */
  readonly exclusiveBytes: number;
  /** Others hold references as well: socket, process, driver or page-frag cache. */
  readonly sharedBytes: number;
}

/** Counts what skbs pin: every page, every slab slot and every shared info once. */
export class Tally implements SkbSink {
  readonly #pageSize: number;
  readonly #warnings: Warnings;
  readonly #pages = new Map<bigint, PageCount>();
  readonly #slots = new Map<bigint, SlotCount>();
  readonly #clones = new Map<bigint, CloneCount>();
  /** Slots that one reference holds, by their cache. */
  readonly #soleSlots = new Map<bigint, { readonly size: number; count: number }>();
  #skbs = 0;
  #payloadBytes = 0;
  #truesizeBytes = 0;
  #frags = 0;
  #maxFragsPerSkb = 0;
  #complete = true;

  /**
   * @param pageSize bytes of a base page
   * @param warnings take what could not be told
   */
  constructor(pageSize: number, warnings: Warnings) {
    this.#pageSize = pageSize;
    this.#warnings = warnings;
  }

  page(block: PageBlock, via: bigint | undefined): void {
    this.#countPage(block.head, block.order, block.references, via === undefined ? 1 : 0);
    if (via !== undefined) this.#clones.get(via)?.pages.push(block.head);
    if (block.order !== undefined) return;
    this.incomplete(
      'order-unknown',
      'some pages are of allocations whose order the kernel does not record; each counts as one page at least',
    );
  }

  slot(address: bigint, { slotSize, cache }: SlabBlock, references: number): void {
    // Nobody else can lead here again, so a million of them need no place in a map.
    if (references <= 1) this.#countSoleSlots(cache, slotSize, 1);
    else this.#countSlot(address, { size: slotSize, cache, references, found: 1 });
  }

  /** Payload that is in no skb. */
  payload(bytes: number): void {
    this.#payloadBytes += bytes;
  }

  clone(sharedInfo: bigint, clones: number): boolean {
    const known = this.#clones.get(sharedInfo);
    if (known) known.found++;
    else this.#clones.set(sharedInfo, { clones, found: 1, pages: [] });
    return known === undefined;
  }

  incomplete(code: WarningCode, message: string): void {
    this.#complete = false;
    this.#warnings.add(code, message);
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

  /** Adds another tally's things to this one: what both hold is still counted once. */
  add(other: Tally): void {
    for (const [head, { order, references, found }] of other.#pages) {
      this.#countPage(head, order, references, found);
    }
    for (const [address, slot] of other.#slots) this.#countSlot(address, slot);
    for (const [cache, { size, count }] of other.#soleSlots) {
      this.#countSoleSlots(cache, size, count);
    }
    for (const [sharedInfo, { clones, found, pages }] of other.#clones) {
      const known = this.#clones.get(sharedInfo);
      if (known) known.found += found;
      else this.#clones.set(sharedInfo, { clones, found, pages: [...pages] });
    }
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
    for (const { order } of this.#pages.values()) {
      if (order === undefined) unknown++;
      else orders[order] = (orders[order] ?? 0) + 1;
      pageBytes += this.#bytes(order);
    }
    let slabBytes = this.#soleSlotBytes();
    for (const { size } of this.#slots.values()) slabBytes += size;
    return {
      skbs: this.#skbs,
      payloadBytes: this.#payloadBytes,
      truesizeBytes: this.#truesizeBytes,
      frags: this.#frags,
      maxFragsPerSkb: this.#maxFragsPerSkb,
      pages: this.#pages.size,
      orders: { ...orders, unknown },
      pageBytes,
      slabBytes,
      pinnedBytes: pageBytes + slabBytes,
      complete: this.#complete,
    };
  }

  /** What of it would go back to the allocators if all of it were dropped. */
  ownership(): Ownership {
    const throughClones = new Map<bigint, number>();
    for (const { clones, found, pages } of this.#clones.values()) {
      // A clone elsewhere keeps the shared info, and so everything in it.
      if (found < clones) continue;
      for (const head of pages) throughClones.set(head, (throughClones.get(head) ?? 0) + 1);
    }
    let exclusiveBytes = this.#soleSlotBytes();
    let sharedBytes = 0;
    for (const [head, { order, references, found }] of this.#pages) {
      const all = found + (throughClones.get(head) ?? 0) >= references;
      if (all) exclusiveBytes += this.#bytes(order);
      else sharedBytes += this.#bytes(order);
    }
    for (const { size, references, found } of this.#slots.values()) {
      if (found >= references) exclusiveBytes += size;
      else sharedBytes += size;
    }
    return { exclusiveBytes, sharedBytes };
  }

  /** Whether anything counted here lies in the allocation with this first `struct page`. */
  holdsPage(head: bigint): boolean {
    return this.#pages.has(head);
  }

  /** How many slots of each cache were met, by the address of the `struct kmem_cache`. */
  slotsByCache(): Map<bigint, number> {
    const slots = new Map<bigint, number>();
    for (const [cache, { count }] of this.#soleSlots) slots.set(cache, count);
    for (const { cache } of this.#slots.values()) slots.set(cache, (slots.get(cache) ?? 0) + 1);
    return slots;
  }

  #countSlot(address: bigint, { found, ...slot }: SlotCount): void {
    const known = this.#slots.get(address);
    if (known) known.found += found;
    else this.#slots.set(address, { ...slot, found });
  }

  #countSoleSlots(cache: bigint, size: number, count: number): void {
    const known = this.#soleSlots.get(cache);
    if (known) known.count += count;
    else this.#soleSlots.set(cache, { size, count });
  }

  #soleSlotBytes(): number {
    let bytes = 0;
    for (const { size, count } of this.#soleSlots.values()) bytes += size * count;
    return bytes;
  }

  #countPage(head: bigint, order: number | undefined, references: number, found: number): void {
    const page = this.#pages.get(head);
    if (page) {
      page.found += found;
      // An order that one reference leaves unknown may be known from another.
      page.order ??= order;
    } else {
      this.#pages.set(head, { order, references, found });
    }
  }

  /** Of an allocation of unknown order at least the first page is held. */
  #bytes(order: number | undefined): number {
    return this.#pageSize * 2 ** (order ?? 0);
  }
}
