import type { PagePool } from './page-pool.js';
import type { SlabCache } from './slab-caches.js';

/** Maximum number of base pages of a buddy block. */
const MOST = 2 ** 20;

/**
 * Returns the number of base pages of the largest block that may begin at a frame: blocks are aligned to
 * their size.
 */
export function alignedBlock(frame: number): number {
  let size = 1;
  while (size < MOST && frame % (2 * size) === 0) size *= 2;
  return size;
}

/** A buddy allocation that is not a slab. */
export interface PageBlock {
  readonly kind: 'page';
  /** Number of its first page frame: the compound head, if it is compound. */
  readonly frame: number;
  /** log2 of its base pages; undefined if the kernel does not record it. */
  readonly order: number | undefined;
  /**
   * Reference count (`_refcount` of the head, or the users of a page pool's page); infinite if the page pool
   * does not count them.
   */
  readonly references: number;
  /** It is free: the reference to it is damaged. */
  readonly free: boolean;
  /** Page pool of a driver that recycles it instead of freeing it, if the pool has room. */
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
