import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { readPartOf } from '../named-read.js';

/** Pointers that are read at a time: a page of them. */
const BATCH = 512;

/**
 * The page frames that an array of pointers to `struct page` names, in its order; those that are NULL
 * are left out.
 *
 * @param what what errors call the array
 * @throws {KernelError} `damaged` if one points elsewhere; {@link ReadError}
 */
export function* framesOfPages(
  kernel: Kernel,
  what: string,
  pages: bigint,
  count: number,
): Generator<number> {
  const at = new Pointer();
  for (let first = 0; first < count; first += BATCH) {
    const many = Math.min(BATCH, count - first);
    const view = readPartOf(kernel, what, pages, pages + BigInt(first * 8), many * 8);
    // The view may be overwritten by what whoever takes the frames reads.
    const found = Array.from({ length: many }, (_, index) => view.getBigUint64(index * 8, true));
    for (const page of found) {
      if (page === 0n) continue;
      const frame = kernel.pages.frameOfPage(at.set(page));
      if (frame < 0)
        throw new KernelError('damaged', `${what} names ${hex(page)}, which is no page`);
      yield frame;
    }
  }
}
