import { ReadError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../../walk/cursor.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import { flagTest, memberOf, struct } from '../../walk/pages/struct-page.js';
import type { MappingCounts } from './mapped-pages.js';

/** Page frames that are mapped more often than they count, and what the first of them says. */
export interface Overmapped {
  readonly frames: number;
  readonly first: string;
}

/** Kinds whose `struct page`s count their mappings, in `_mapcount`, which is -1 for none. */
const COUNTED: ReadonlySet<number> = new Set([
  ...[KIND.anonymous, KIND['swap-cache'], KIND.file, KIND.shmem],
]);

/**
 * Holds how often page tables lead to a frame against what its `struct page` counts: an entry that leads to
 * another's frame makes that one mapped too often. Fewer are no contradiction: an address space may be without
 * a process, as one that is being torn down. Pages of large folios are left out, which count in other ways from
 * kernel to kernel (and not page by page with CONFIG_NO_PAGE_MAPCOUNT), and those of processes that run.
 *
 * @throws {KernelError} `unsupported-layout`
 */
export function overmapped(kernel: Kernel, counts: MappingCounts): Overmapped {
  const page = struct(kernel, 'page');
  const at = memberOf(page, '_mapcount').offset;
  const word = memberOf(page, page.member('compound_head') ? 'compound_head' : 'compound_info');
  const isHead = flagTest(kernel, page, 'PG_head');
  const cursor = new Cursor(kernel, 'struct page');
  let [frames, first] = [0, ''];
  counts.eachSettled((frame, found, kind) => {
    if (!COUNTED.has(kind)) return;
    try {
      const { view, base } = cursor.to(kernel.pages.pageOfFrame(frame)).look(0, page.size);
      if (isHead(view, base) || (view.getUint8(base + word.offset) & 1) !== 0) return;
      const told = view.getInt32(base + at, true) + 1;
      if (found <= told) return;
      if (frames === 0)
        first = `page frame ${frame} counts ${told} mappings, and page tables have ${found}`;
      frames++;
    } catch (error) {
      // The scan has told of it.
      if (!(error instanceof ReadError)) throw error;
    }
  });
  return { frames, first };
}
