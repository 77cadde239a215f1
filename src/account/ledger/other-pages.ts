import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { CountedPages } from '../../walk/pages/counted-pages.js';
import { memoryUse } from '../../walk/pages/memory-use.js';
import type { Known, Step } from './pipeline.js';
import type { LedgerTools } from './tools.js';

/**
 * Where every page of the machine is. Whoever takes pages from the buddy allocator and is none of
 * those whom the kernel counts (slabs, files, processes, page tables, vmalloc) is the network, or
 * some other part of the kernel: how many of those are in no queue and no row bounds what of the
 * network's memory is not explained. Objects are base pages.
 */
export function otherPages({ kernel, seen }: LedgerTools): Step<'other-pages'> {
  return {
    code: 'other-pages',
    count(known) {
      const slabs = seen.slabPages;
      if (slabs === undefined) {
        throw new KernelError('damaged', 'not every slab of the dump could be looked at');
      }
      const { managed, ...use } = memoryUse(kernel);
      const { present, free, lru, pageTables, vmalloced, huge, compressed } = use;
      const others =
        managed - (free + slabs + lru + pageTables + (vmalloced ?? 0) + (huge ?? 0) + compressed);
      const explained = uncounted(kernel, known);
      const left = others - explained;
      if (left < 0) {
        const message = `${explained} pages are held, of ${others} that are given out: the dump changed while it was taken, or is damaged`;
        throw new KernelError('damaged', message);
      }
      const atBoot = present - managed;
      const figures = { ...use, atBoot, slabs, others, explained, left };
      return { told: 'counted', objects: left, bytes: left * kernel.facts.pageSize, figures };
    },
  };
}

/** How many of the pages held are none that the kernel counts as somebody's: pages of files, say. */
function uncounted(kernel: Kernel, known: Known): number {
  const counted = new CountedPages(kernel);
  let pages = 0;
  for (const { frame, order } of known.pages()) {
    if (!counted.has(frame)) pages += 2 ** (order ?? 0);
  }
  return pages;
}
