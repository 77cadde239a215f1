import type { PagePool } from './pool-room.js';
import type { SlabCache } from './slab-caches.js';

/** An allocation of the buddy allocator that isn't slab. */
export interface PageBlock {
  readonly kind: 'page';
  /** Number of its first page frame: that of the compound head, if it is compound. */
  readonly frame: number;
  /** log2 of its base pages; undefined where the kernel doesn't record it. */
  readonly order: number | undefined;
  /**
   * How many references to it the kernel counts (`_refcount` of the head, a page pool's users),
   * whoever holds them; infinitely many where a page pool does not tell.
   */
  readonly references: number;
  /** Nobody has it: what leads there is damaged. */
  readonly free: boolean;
  /** The driver's page pool that takes it back instead of freeing it, if it has room. */
  readonly pool: PagePool | undefined;
}

/** A page of a slab. */
export interface SlabBlock {
  readonly kind: 'slab';
  /** Number of its first page frame. */
  readonly frame: number;
  /** Direct-map address of its first object's slot. */
  readonly start: bigint;
  readonly cache: SlabCache;
}

export type Block = PageBlock | SlabBlock;
