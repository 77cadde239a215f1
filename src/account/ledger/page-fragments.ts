import { KernelError } from '../../kernel/error.js';
import { hex } from '../../kernel/hex.js';
import { keptFragPages } from '../../walk/pages/kept-frag-pages.js';
import type { FragPage } from '../../walk/pages/page-frag-cache.js';
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
      const heads = new Set(found.map((one) => headOf(tools, one)));
      const shared = [...heads].filter((frame) => known.holdsPage(frame)).length;
      const { pages, bytes, holds } = newPages(
        tools,
        known,
        found.map(({ page }) => page),
      );
      const figures = { kept: heads.size, shared, pages };
      return { told: 'counted', objects: pages, bytes, figures, holds };
    },
  };
}

/**
 * The first frame of a page that is cut. Tasks and sockets note how large it is (skb_page_frag_refill).
 *
 * @throws as blockOf does; {@link KernelError} `damaged`
 */
function headOf({ kernel, pages }: LedgerTools, { page, size }: FragPage): number {
  const { frame, order } = blockOf(pages, page);
  const bytes = kernel.facts.pageSize * 2 ** (order ?? 0);
  if (size !== undefined && size !== bytes && !kernel.facts.live)
    throw new KernelError(
      'damaged',
      `a page_frag has ${size} bytes, and its page ${hex(page)} begins ${bytes}`,
    );
  return frame;
}
