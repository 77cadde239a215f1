import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../cursor.js';
import type { PagePool } from './page-pool.js';
import type { SlabCache } from './slab-caches.js';
import { flagPlace, MAX_ORDER, memberOf, orderOffset, struct } from './struct-page.js';

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

/** Frames that were allocated as one block, according to their `struct page`s. */
interface LooseBlock {
  readonly frame: number;
  readonly frames: number;
  /** Whether the size is known from the head; otherwise the block ends where the next one begins. */
  readonly compound: boolean;
  /** References of the first frame. */
  readonly references: number;
  /**
   * `memcg_data` of the first frame; 0n if it is not charged to a cgroup, or the kernel has no cgroup
   * charges.
   */
  readonly charge: bigint;
}

/**
 * Joins frames into the blocks that they were allocated as: a compound page, or a page with references and
 * the following pages without, up to the maximum size at that position (buddy blocks are aligned to their
 * size).
 *
 * @param frames in ascending order
 */
export function* looseBlocks(kernel: Kernel, frames: Iterable<number>): Generator<LooseBlock> {
  const page = struct(kernel, 'page');
  const cursor = new Cursor(kernel, 'struct page');
  const references = memberOf(page, '_refcount').offset;
  const head = flagPlace(kernel, page, 'PG_head');
  const order = orderOffset(kernel, page);
  const charge = (page.member('memcg_data') ?? page.member('mem_cgroup'))?.offset;
  let block: ({ frame: number; frames: number; compound: boolean } & Omit<LooseBlock, 'frames'>) | undefined;
  let most = 0;
  for (const frame of frames) {
    const at = kernel.pages.pageOfFrame(frame);
    let { view, base } = cursor.to(at).look(0, page.size);
    const count = view.getInt32(base + references, true);
    const next = block !== undefined && frame === block.frame + block.frames;
    if (block && next && block.frames < most && (block.compound || count === 0)) {
      block.frames++;
      continue;
    }
    if (block) yield block;
    const charged = charge === undefined ? 0n : view.getBigUint64(base + charge, true);
    const compound = (view.getUint8(base + head.offset) & head.mask) !== 0;
    most = alignedBlock(frame);
    if (compound) {
      ({ view, base } = cursor.to(at).look(order, 1));
      most = 2 ** Math.min(MAX_ORDER, view.getUint8(base + order));
    }
    block = { frame, frames: 1, compound, references: count, charge: charged };
  }
  if (block) yield block;
}
