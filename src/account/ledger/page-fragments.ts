import { keptFragPages } from '../../walk/pages/kept-frag-pages.js';
import { blockOf, newPages } from './new-pages.js';
import type { Step } from './pipeline.js';
import type { LedgerTools } from './tools.js';

/** The row of pages that CPUs, tasks and sockets keep to cut fragments from. */
export function pageFragments(
  tools: LedgerTools,
  socks: readonly bigint[],
): Step<'page-fragments'> {
  return {
    code: 'page-fragments',
    count(known) {
      const found = keptFragPages(tools.kernel, socks);
      const heads = new Set(found.map((page) => blockOf(tools.pages, page).frame));
      const shared = [...heads].filter((frame) => known.holdsPage(frame)).length;
      const { pages, bytes, holds } = newPages(tools, known, found);
      const figures = { kept: heads.size, shared, pages };
      return { told: 'counted', objects: pages, bytes, figures, holds };
    },
  };
}
