import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { xdpRings } from '../../walk/network/xdp-rings.js';
import { many, type Row } from './unexplained-row.js';

/**
 * The row of AF_XDP sockets' rings. What is vmalloc'ed counts with the bytes that it takes: nobody
 * else has those pages.
 *
 * @param count counts pages that nothing before holds
 * @throws as {@link xdpRings}
 */
export function xdpRingPages(
  kernel: Kernel,
  count: (pages: readonly bigint[]) => { bytes: number },
): Row {
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
  const { bytes } = count(pages);
  const message = `${many(rings, 'ring')} of AF_XDP sockets, ${rings - pages.length} of them vmalloc’ed.`;
  return { objects: rings, bytes: bytes + vmalloced, message };
}
