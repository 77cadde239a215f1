import { KernelError } from '../../kernel/error.js';
import { newPages } from './new-pages.js';
import type { Step } from './pipeline.js';
import type { LedgerTools } from './tools.js';

/** The row of what page pools own, lent or kept. */
export function pagePools(tools: LedgerTools): Step<'page-pools'> {
  const { seen } = tools;
  return {
    code: 'page-pools',
    count(known) {
      if (!seen.knowsPools) return { told: 'not-walked' };
      if (!seen.complete) {
        throw new KernelError('damaged', 'not every struct page of the dump could be looked at');
      }
      const { pages, bytes, holds } = newPages(tools, known, seen.poolPages);
      const figures = { owned: seen.poolPages.length, pages };
      return { told: 'counted', objects: pages, bytes, figures, holds };
    },
  };
}
