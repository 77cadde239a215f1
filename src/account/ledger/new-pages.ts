import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { PageBlock } from '../../walk/pages/block.js';
import type { PageReader } from '../../walk/pages/pages.js';
import type { Tally } from '../tally.js';
import type { Known } from './pipeline.js';
import type { LedgerTools } from './tools.js';

/**
 * The pages that nothing before holds, once each.
 *
 * @param found addresses of `struct page`s
 * @throws {KernelError} `damaged` for one that nobody can have; {@link ReadError}
 */
export function newPages(
  { kernel, pages, newTally }: Pick<LedgerTools, 'kernel' | 'pages' | 'newTally'>,
  known: Known,
  found: readonly bigint[],
): { readonly pages: number; readonly bytes: number; readonly holds: Tally } {
  const holds = newTally();
  let count = 0;
  let bytes = 0;
  for (const address of found) {
    const block = blockOf(pages, address);
    if (known.holdsPage(block.frame) || holds.holdsPage(block.frame)) continue;
    holds.page(block.frame, block.order, block.references, undefined, block.pool);
    count++;
    bytes += kernel.facts.pageSize * 2 ** (block.order ?? 0);
  }
  return { pages: count, bytes, holds };
}

/** The allocation that a `struct page` is of. @throws as {@link newPages} */
export function blockOf(pages: PageReader, address: bigint): PageBlock {
  const block = pages.block(address);
  if (block.kind === 'page' && !block.free) return block;
  const what = block.kind === 'slab' ? 'belongs to a slab' : 'is free';
  throw new KernelError('damaged', `the page ${hex(address)} ${what}`);
}
