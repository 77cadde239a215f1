import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../../walk/cursor.js';
import { memoryUse } from '../../walk/pages/memory-use.js';
import type { NetworkPages } from '../../walk/pages/network-pages.js';
import { flagTest, memberOf, type PageTest, struct } from '../../walk/pages/struct-page.js';
import type { Tally } from '../tally.js';
import type { Row } from './unexplained-row.js';

/**
 * Where every page of the machine is. Whoever takes pages from the buddy allocator and is none of
 * those whom the kernel counts (slabs, files, processes, page tables, vmalloc) is the network, or
 * some other part of the kernel: how many of those are in no queue and no row bounds what of the
 * network's memory is not explained.
 *
 * @param known what sockets and all rows hold together
 * @throws {KernelError}, {@link ReadError}
 */
export function otherPages(kernel: Kernel, seen: NetworkPages, known: Tally): Row {
  const slabs = seen.slabPages;
  if (slabs === undefined) {
    throw new KernelError('damaged', 'not every slab of the dump could be looked at');
  }
  const use = memoryUse(kernel);
  const { present, managed, free, lru, pageTables, vmalloced, huge, compressed } = use;
  const counted = free + slabs + lru + pageTables + (vmalloced ?? 0) + (huge ?? 0) + compressed;
  const others = managed - counted;
  const explained = uncounted(kernel, known);
  const left = others - explained;
  if (left < 0) {
    const message = `${explained} pages are held, of ${others} that are given out: the dump changed while it was taken, or is damaged`;
    throw new KernelError('damaged', message);
  }
  const parts = [
    `${present - managed} were set aside at boot`,
    `${free} are free`,
    `${slabs} slabs`,
    `${lru} of files and processes`,
    `${pageTables} page tables`,
    ...(vmalloced === undefined ? [] : [`${vmalloced} vmalloc’ed`]),
    ...(huge ? [`${huge} huge`] : []),
    ...(compressed > 0 ? [`${compressed} compressed`] : []),
  ];
  const unknown = [
    ...(vmalloced === undefined ? ['vmalloc’ed'] : []),
    ...(huge === undefined ? ['huge'] : []),
  ];
  const among =
    unknown.length === 0
      ? ''
      : ` (with those that are ${unknown.join(' or ')}, whose counts were not found)`;
  const message = `Of the machine’s ${present} pages ${parts.join(', ')}; of the ${others} others${among} ${explained} are in queues and rows above, and ${left} in none: these may be anybody’s.`;
  return { objects: left, bytes: left * kernel.facts.pageSize, message };
}

/** How many of the pages held are none that the kernel counts as somebody's: pages of files, say. */
function uncounted(kernel: Kernel, known: Tally): number {
  const counted = new CountedTest(kernel);
  let pages = 0;
  for (const { frame, order } of known.pages()) {
    if (!counted.is(frame)) pages += 2 ** (order ?? 0);
  }
  return pages;
}

/** Tells pages of files, of processes and of hugetlb, and what was set aside at boot. */
class CountedTest {
  readonly #kernel: Kernel;
  readonly #page: Cursor;
  readonly #flags: readonly PageTest[];
  readonly #flagsAt: number;
  readonly #mapping: number;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#page = new Cursor(kernel, 'struct page');
    const page = struct(kernel, 'page');
    this.#flags = ['PG_lru', 'PG_reserved'].map((flag) => flagTest(kernel, page, flag));
    this.#flagsAt = memberOf(page, 'flags').offset;
    this.#mapping = memberOf(page, 'mapping').offset;
  }

  is(frame: number): boolean {
    const page = this.#page.to(this.#kernel.pages.pageOfFrame(frame));
    const { view, base } = page.look(this.#flagsAt, 8);
    if (this.#flags.some((test) => test(view, base))) return true;
    const mapping = page.look(this.#mapping, 8);
    return mapping.view.getBigUint64(mapping.base + this.#mapping, true) !== 0n;
  }
}
