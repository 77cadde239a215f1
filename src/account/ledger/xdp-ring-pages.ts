import { KernelError } from '../../kernel/error.js';
import { xdpRings } from '../../walk/network/xdp-rings.js';
import { newPages } from './new-pages.js';
import type { Step } from './pipeline.js';
import type { LedgerTools } from './tools.js';

/**
 * The row of AF_XDP sockets' rings. What is vmalloc'ed counts with the bytes that it takes: nobody
 * else has those pages.
 */
export function xdpRingPages(tools: LedgerTools): Step<'xdp-rings'> {
  return {
    code: 'xdp-rings',
    count(known) {
      const { kernel } = tools;
      const { pageSize } = kernel.facts;
      const pages: bigint[] = [];
      let rings = 0;
      let vmalloced = 0;
      for (const ring of xdpRings(kernel)) {
        rings++;
        if (ring.vmalloced === undefined) {
          const page = kernel.pages.pageOf(ring.memory);
          if (page === undefined) throw new KernelError('damaged', 'a ring is in no page');
          pages.push(page);
        } else vmalloced += Math.ceil(ring.vmalloced / pageSize) * pageSize;
      }
      const { bytes, holds } = newPages(tools, known, pages);
      const figures = { rings, vmalloced: rings - pages.length };
      return { told: 'counted', objects: rings, bytes: bytes + vmalloced, figures, holds };
    },
  };
}
