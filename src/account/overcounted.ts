import { hex } from '../base/hex.js';
import type { CloneCounts } from './clone-counts.js';
import type { PageCounts } from './page-counts.js';
import type { SlotCounts } from './slot-counts.js';

/**
 * What more references were found to than the kernel counts, in words. Whoever holds a page, a slot or
 * a shared info counts, so that there may be more than were found, and never fewer. Of a page pool's
 * page its users count, and where it does not tell them there is no number (PageBlock.references).
 */
export function* overcounted(
  pages: PageCounts,
  slots: SlotCounts,
  clones: CloneCounts,
): Generator<string> {
  const pagesOfClones = new Uint32Array(pages.size);
  const slotsOfClones = new Uint32Array(slots.size);
  clones.countAll(pagesOfClones, slotsOfClones);
  for (let row = 0; row < pages.size; row++) {
    const [found, counted] = [pages.found(row) + pagesOfClones[row]!, pages.references(row)];
    // Large kmallocs have an owner and no references.
    if (found <= Math.max(counted, 1)) continue;
    yield `page frame ${pages.frame(row)} counts ${counted} references, but ${found} were found`;
  }
  for (let row = 0; row < slots.size; row++) {
    const [found, counted] = [slots.found(row) + slotsOfClones[row]!, slots.references(row)];
    if (found <= counted) continue;
    yield `the slot at ${hex(slots.address(row))} counts ${counted} references, but ${found} were found`;
  }
  for (let row = 0; row < clones.size; row++) {
    const [found, counted] = [clones.found(row), clones.clones(row)];
    if (found <= counted) continue;
    yield `the shared info at ${hex(clones.address(row))} counts ${counted} clones, but ${found} were found`;
  }
}

/**
 * Which allocations lie within another, in words: then the order of either is wrong. An allocation
 * begins at a multiple of its size, so that one that holds a page begins at one of a few frames.
 */
export function* overlapping(pages: PageCounts): Generator<string> {
  const orders = new Set<number>();
  for (let row = 0; row < pages.size; row++) orders.add(pages.order(row) ?? 0);
  orders.delete(0);
  for (let row = 0; row < pages.size; row++) {
    const frame = pages.frame(row);
    for (const order of orders) {
      if (order <= (pages.order(row) ?? 0)) continue;
      const first = frame - (frame % 2 ** order);
      const around = pages.find(first);
      if (around < 0 || around === row || (pages.order(around) ?? 0) < order) continue;
      yield `page frame ${frame} is held, but is part of the ${2 ** order}-page block at ${first}, which is held too`;
    }
  }
}
