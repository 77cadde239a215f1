import type { SlabCache } from '../walk/pages.js';
import type { Skb, SkbSink } from '../walk/skb.js';
import type { WarningCode, Warnings } from '../walk/warnings.js';
import type { Figures } from './figures.js';
import { PageCounts } from './page-counts.js';

interface SlotCount {
  readonly cache: SlabCache;
  readonly references: number;
  found: number;
}

/** A shared info that several clones have in common, and what hangs in it. */
interface CloneCount {
  readonly clones: number;
  found: number;
  frags: number;
  /** First frames of the pages, once per reference. */
  readonly pages: number[];
  /** Slots of the skbs in its frag_list, and of their heads, once per reference. */
  slots: bigint[] | undefined;
}

/** Bytes that nobody else holds, and bytes that somebody does. */
export interface Ownership {
  /** All references found here: this much goes back if all of it is dropped. */
  readonly exclusiveBytes: number;
  /** Others hold references as well: socket, process, driver or page-frag cache. */
  readonly sharedBytes: number;
}

const NO_PAGES = new PageCounts();

function newClones(clones: number): CloneCount {
  return { clones, found: 1, frags: 0, pages: [], slots: undefined };
}

/** Counts what skbs pin: every page, every slab slot and every shared info once. */
export class Tally implements SkbSink {
  readonly #pageSize: number;
  readonly #warnings: Warnings;
  /** References through the shared infos of clones are not among those found, here and of slots. */
  #pages = NO_PAGES;
  /** Another tally counts by the same table, which neither may change. */
  #sharesPages = true;
  readonly #slots = new Map<bigint, SlotCount>();
  readonly #clones = new Map<bigint, CloneCount>();
  /** Slots that one reference holds, by their cache. */
  readonly #soleSlots = new Map<SlabCache, number>();
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

  page(
    frame: number,
    order: number | undefined,
    references: number,
    via: bigint | undefined,
  ): void {
    this.#ownPages().count(frame, order, references, via === undefined ? 1 : 0);
    if (via !== undefined) this.#clones.get(via)?.pages.push(frame);
    if (order === undefined) this.#orderUnknown();
  }

  lentPage(frame: number, order: number | undefined, references: number): void {
    this.#ownPages().count(frame, order, references, 0);
    if (order === undefined) this.#orderUnknown();
  }

  slot(address: bigint, cache: SlabCache, references: number, via: bigint | undefined): void {
    this.#countSlot(address, { cache, references, found: via === undefined ? 1 : 0 });
    const clones = via === undefined ? undefined : this.#clones.get(via);
    if (!clones) return;
    clones.slots ??= [];
    clones.slots.push(address);
  }

  soleSlot(cache: SlabCache): void {
    this.#soleSlots.set(cache, (this.#soleSlots.get(cache) ?? 0) + 1);
  }

  /** Payload that is in no skb. */
  payload(bytes: number): void {
    this.#payloadBytes += bytes;
  }

  clone(sharedInfo: bigint, clones: number): boolean {
    const known = this.#clones.get(sharedInfo);
    if (known) known.found++;
    else this.#clones.set(sharedInfo, newClones(clones));
    return known === undefined;
  }

  cloneFrags(sharedInfo: bigint, frags: number): void {
    const clones = this.#clones.get(sharedInfo);
    if (clones) clones.frags = frags;
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
    this.#addPages(other);
    for (const [address, slot] of other.#slots) this.#countSlot(address, slot);
    for (const [cache, count] of other.#soleSlots) {
      this.#soleSlots.set(cache, (this.#soleSlots.get(cache) ?? 0) + count);
    }
    for (const [sharedInfo, clones] of other.#clones) {
      const known = this.#clones.get(sharedInfo);
      if (known) {
        known.found += clones.found;
        // Both counted what hangs in it.
        this.#frags -= Math.min(known.frags, clones.frags);
      } else {
        this.#clones.set(sharedInfo, { ...clones });
      }
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
    for (let row = 0; row < this.#pages.size; row++) {
      const order = this.#pages.order(row);
      if (order === undefined) unknown++;
      else orders[order] = (orders[order] ?? 0) + 1;
      pageBytes += this.#bytes(order);
    }
    let slabBytes = this.#soleSlotBytes();
    for (const { cache } of this.#slots.values()) slabBytes += cache.slotSize;
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
    const throughClones = new Map<number, number>();
    const slotsThroughClones = new Map<bigint, number>();
    for (const { clones, found, pages, slots } of this.#clones.values()) {
      // A clone elsewhere keeps the shared info, and so everything in it.
      if (found < clones) continue;
      for (const frame of pages) throughClones.set(frame, (throughClones.get(frame) ?? 0) + 1);
      for (const slot of slots ?? [])
        slotsThroughClones.set(slot, (slotsThroughClones.get(slot) ?? 0) + 1);
    }
    let exclusiveBytes = this.#soleSlotBytes();
    let sharedBytes = 0;
    const pages = this.#pages;
    for (let row = 0; row < pages.size; row++) {
      const found = pages.found(row) + (throughClones.get(pages.frame(row)) ?? 0);
      const bytes = this.#bytes(pages.order(row));
      if (found >= pages.references(row)) exclusiveBytes += bytes;
      else sharedBytes += bytes;
    }
    for (const [address, { cache, references, found }] of this.#slots) {
      const all = found + (slotsThroughClones.get(address) ?? 0);
      if (all >= references) exclusiveBytes += cache.slotSize;
      else sharedBytes += cache.slotSize;
    }
    return { exclusiveBytes, sharedBytes };
  }

  /** Bytes of pages that page pools of drivers own, and take back when they are dropped. */
  pooledBytes(): number {
    let bytes = 0;
    for (let row = 0; row < this.#pages.size; row++) {
      if (this.#pages.references(row) === Number.POSITIVE_INFINITY) {
        bytes += this.#bytes(this.#pages.order(row));
      }
    }
    return bytes;
  }

  /** Whether anything counted here lies in the allocation that begins with this page frame. */
  holdsPage(frame: number): boolean {
    return this.#pages.find(frame) >= 0;
  }

  /** How many slots of each cache were met, by the address of the `struct kmem_cache`. */
  slotsByCache(): Map<bigint, number> {
    const slots = new Map<bigint, number>();
    const count = ({ address }: SlabCache, more: number) =>
      slots.set(address, (slots.get(address) ?? 0) + more);
    for (const [cache, sole] of this.#soleSlots) count(cache, sole);
    for (const { cache } of this.#slots.values()) count(cache, 1);
    return slots;
  }

  #orderUnknown(): void {
    this.incomplete(
      'order-unknown',
      'some pages are of allocations whose order the kernel does not record; each counts as one page at least',
    );
  }

  #countSlot(address: bigint, { found, ...slot }: SlotCount): void {
    const known = this.#slots.get(address);
    if (known) known.found += found;
    else this.#slots.set(address, { ...slot, found });
  }

  #soleSlotBytes(): number {
    let bytes = 0;
    for (const [{ slotSize }, count] of this.#soleSlots) bytes += slotSize * count;
    return bytes;
  }

  /** A table that may be changed. */
  #ownPages(): PageCounts {
    if (this.#sharesPages) {
      this.#pages = new PageCounts(this.#pages);
      this.#sharesPages = false;
    }
    return this.#pages;
  }

  /** The first to be added is not copied: of a million pages there would soon be five tables. */
  #addPages(other: Tally): void {
    if (other.#pages.size === 0) return;
    if (this.#pages.size > 0) {
      this.#ownPages().add(other.#pages);
      return;
    }
    this.#pages = other.#pages;
    this.#sharesPages = true;
    other.#sharesPages = true;
  }

  /** Of an allocation of unknown order at least the first page is held. */
  #bytes(order: number | undefined): number {
    return this.#pageSize * 2 ** (order ?? 0);
  }
}
