import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../cursor.js';
import { alignedBlock } from '../pages/block.js';
import { flagPlace, MAX_ORDER, memberOf, orderOffset, struct } from '../pages/struct-page.js';

/** Frames that were allocated as one block, according to their `struct page`s. */
export interface LooseBlock {
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
 * @throws {ReadError}
 */
export function* looseBlocks(kernel: Kernel, frames: Iterable<number>): Generator<LooseBlock> {
  const page = struct(kernel, 'page');
  const cursor = new Cursor(kernel, 'struct page');
  const references = memberOf(page, '_refcount').offset;
  const head = flagPlace(kernel, page, 'PG_head');
  const order = orderOffset(kernel, page);
  const charge = (page.member('memcg_data') ?? page.member('mem_cgroup'))?.offset;
  let block:
    | ({ frame: number; frames: number; compound: boolean } & Omit<LooseBlock, 'frames'>)
    | undefined;
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
