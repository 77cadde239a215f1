import type { PageBlock } from '../walk/pages.js';
import type { Skb, SkbSink } from '../walk/skb.js';
import type { WarningCode, Warnings } from '../walk/warnings.js';
import type { Figures } from './figures.js';

/** Counts what a queue pins: every page, every slab slot and every shared info once. */
export class Tally implements SkbSink {
  readonly #pageSize: number;
  readonly #pages = new Map<bigint, number | undefined>();
  readonly #slots = new Map<bigint, number>();
  readonly #shared = new Set<bigint>();
  #skbs = 0;
  #payloadBytes = 0;
  #truesizeBytes = 0;
  #frags = 0;
  #maxFragsPerSkb = 0;
  #complete = true;
  readonly #warnings: Warnings;

  /**
   * @param pageSize bytes of a base page
   * @param warnings take what could not be told
   */
  constructor(pageSize: number, warnings: Warnings) {
    this.#pageSize = pageSize;
    this.#warnings = warnings;
  }

  page({ head, order }: PageBlock): void {
    // An order that one frag leaves unknown may be known from another: the known one stands.
    if (order !== undefined || !this.#pages.has(head)) this.#pages.set(head, order);
    if (order === undefined) {
      this.incomplete(
        'order-unknown',
        'some pages are of allocations whose order the kernel does not record; each counts as one page at least',
      );
    }
  }

  slot(address: bigint, size: number): void {
    this.#slots.set(address, size);
  }

  sharedInfo(address: bigint): boolean {
    if (this.#shared.has(address)) return false;
    this.#shared.add(address);
    return true;
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
    for (const [head, order] of other.#pages) this.page({ kind: 'page', head, order });
    for (const [address, size] of other.#slots) this.#slots.set(address, size);
    for (const address of other.#shared) this.#shared.add(address);
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
    for (const order of this.#pages.values()) {
      if (order === undefined) unknown++;
      else orders[order] = (orders[order] ?? 0) + 1;
      // Of an allocation of unknown order at least the first page is held.
      pageBytes += this.#pageSize * 2 ** (order ?? 0);
    }
    let slabBytes = 0;
    for (const size of this.#slots.values()) slabBytes += size;
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
}
