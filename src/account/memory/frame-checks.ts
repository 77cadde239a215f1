import { KernelError, ReadError, readOrNot } from '../../base/errors.js';
import { bytesByValue, hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { PageKind } from '../../records/page-kinds.js';
import { cpuMask } from '../../walk/cpus.js';
import { listNodes } from '../../walk/list.js';
import type { FrameScan } from '../../walk/memory/frame-scan.js';
import { KIND, tablesHaveType } from '../../walk/memory/page-kinds.js';
import { batchedPages, cpuListFrames, type Zone } from '../../walk/memory/zones.js';

import { slabsCounted } from '../../walk/pages/slab-caches.js';
import { flagTest, memberOf, struct } from '../../walk/pages/struct-page.js';
import { StructReader } from '../../walk/struct-reader.js';
import { XarrayReader } from '../../walk/trees.js';
import type { Warnings } from '../../walk/warnings.js';
import type { KernelCounts } from './counters.js';
import { codeOf } from './missed.js';

/** Bits 1 and 0 of `page.mapping`: anonymous, or KSM if both are set (linux/page-flags.h). */
const [ANONYMOUS, KSM] = [1n, 3n];

/**
 * Explains anonymous and file pages that are on no LRU list: a process maps them, a CPU has them in a batch,
 * the file contains them, or they are being freed. Pages of a device that a process may map (perf, frame
 * buffers) name a file that does not contain them.
 */
export class UnlistedPages {
  readonly #kernel: Kernel;
  readonly #batched: ReadonlySet<bigint> | undefined;
  readonly #page;
  readonly #file;
  readonly #host;
  readonly #anonymous;
  readonly #index: number;
  readonly #isUptodate;
  /** Frames of free blocks on per-CPU free lists. */
  #free: ReadonlySet<number> | undefined;
  readonly #trees: XarrayReader | undefined;

  constructor(kernel: Kernel) {
    const page = struct(kernel, 'page');
    this.#kernel = kernel;
    this.#batched = readOrNot(() => batchedPages(kernel));
    this.#page = new StructReader(kernel, 'page', ['mapping', '_mapcount', '_refcount']);
    this.#isUptodate = flagTest(kernel, page, 'PG_uptodate');
    // Since about 6.14 the member is named __folio_index.
    this.#index = (page.member('index') ?? memberOf(page, '__folio_index')).offset;
    this.#host = new StructReader(kernel, 'inode', ['i_mapping']);
    this.#anonymous = new StructReader(kernel, 'anon_vma', ['root']);
    const hasTree = kernel.struct('address_space')?.member('i_pages.xa_head') !== undefined;
    this.#trees = hasTree ? new XarrayReader(kernel) : undefined;
    this.#file = new StructReader(kernel, 'address_space', [
      'host',
      'nrpages',
      ...(hasTree ? (['i_pages.xa_head'] as const) : []),
    ]);
  }

  /**
   * Returns the number of pages in per-CPU LRU batches with a reference count of 0, though a batch holds a
   * reference.
   */
  lostOfBatches(): number {
    let lost = 0;
    for (const page of this.#batched ?? [])
      if (readOrNot(() => this.#page.read(page).number('_refcount')) === 0) lost++;
    return lost;
  }

  /**
   * Whether there is a reason why the first page of an allocation is on no LRU list. @throws {ReadError} if
   * it cannot be read
   */
  isExplained(frame: number): boolean {
    const at = this.#kernel.pages.pageOfFrame(frame);
    const page = this.#page.read(at);
    const isMapped = ((page.number('_mapcount') + 1) | 0) > 0;
    if (isMapped || !this.#batched || this.#batched.has(at)) return true;
    const mapping = page.pointer('mapping');
    return this.#attempt(() => {
      if (page.number('_refcount') === 0) return this.#isBeingFreed(frame, mapping);
      if ((mapping & ANONYMOUS) !== 0n) return false;
      const index = this.#kernel.read(at + BigInt(this.#index), 8).getBigUint64(0, true);
      const file = this.#file.read(mapping);
      if (file.number('nrpages') === 0) return this.#isMapping(mapping);
      return !this.#trees || this.#trees.load(file.pointer('i_pages.xa_head'), index) === at;
    });
  }

  /**
   * Whether a page is being freed: without a reference it keeps its mapping and flags until
   * free_pages_prepare (mm/page_alloc.c) clears them. Every anonymous page has PG_uptodate until then.
   */
  #isBeingFreed(frame: number, mapping: bigint): boolean {
    this.#free ??= new Set(cpuListFrames(this.#kernel));
    if (this.#free.has(frame)) return false;
    const page = this.#kernel.pages.pageOfFrame(frame);
    if ((mapping & ANONYMOUS) !== 0n && !this.#isUptodate(this.#kernel.read(page, 64))) return false;
    if ((mapping & KSM) === KSM) return this.#kernel.read(mapping - KSM, 8) !== undefined;
    if ((mapping & ANONYMOUS) === 0n) return this.#isMapping(mapping);
    const root = this.#anonymous.read(mapping - ANONYMOUS).pointer('root');
    return this.#anonymous.read(root).pointer('root') === root;
  }

  #isMapping(mapping: bigint): boolean {
    const host = this.#file.read(mapping).pointer('host');
    return this.#host.read(host).pointer('i_mapping') === mapping;
  }

  #attempt(test: () => boolean): boolean {
    try {
      return test();
    } catch (error) {
      // Data that the dump lacks is no contradiction.
      if (error instanceof ReadError) return error.code === 'filtered';
      if (error instanceof KernelError) return false;
      throw error;
    }
  }
}

/**
 * Base pages that a CPU moves before it counts them: isolate_lru_folios (mm/vmscan.c) takes 32 off their
 * list, and rmqueue_bulk (mm/page_alloc.c, before 6.9) 63 out of the buddy allocator. A panic stops CPUs in
 * between.
 */
const UNCOUNTED = 64;

/** Figures that only boot and memory hotplug change. */
const FIXED: ReadonlySet<string> = new Set(['memory', 'all-reserved', 'free-uninitialized']);

type Compare = (what: string, ours: number, name: Parameters<KernelCounts['get']>[0]) => void;

/** Reports pages whose number differs from the kernel's counter. */
export function comparison(kernel: Kernel, counts: KernelCounts, warnings: Warnings): Compare {
  const cpus = possibleCpus(kernel);
  return (what, ours, name) => {
    const theirs = counts.get(name);
    if (theirs === undefined || theirs === ours) return;
    const message = `the kernel counts ${theirs} pages of ${what}, but ${ours} were found`;
    const isAmid = Math.abs(theirs - ours) <= UNCOUNTED * cpus && !FIXED.has(name);
    if (isAmid) warnings.add('torn-list', `${message}; one is wrong, or a CPU stopped during an update`);
    else warnings.add('corrupt', message);
  };
}

/**
 * Compares all struct pages with the kernel's counters of them, free blocks with the free lists, slabs with
 * their caches, and page types with the LRU lists. On a live kernel these change between two reads, so
 * nothing is reported.
 *
 * @param frames number of frames
 */
export function checkFrames(
  kernel: Kernel,
  {
    scan,
    frames,
    counts,
    places,
  }: {
    readonly scan: FrameScan;
    readonly frames: number;
    readonly counts: KernelCounts;
    readonly places: readonly Zone[];
  },
  warnings: Warnings,
): void {
  if (kernel.facts.live) return;
  const report = (message: string) => warnings.add('corrupt', message);
  const compare = comparison(kernel, counts, warnings);
  compare('memory', frames, 'memory');
  const kinds = bytesByValue(scan.kinds);
  const ofKind = (kind: PageKind) => kinds[KIND[kind]] ?? 0;
  compare('reserved memory', ofKind('reserved'), 'all-reserved');
  if (scan.whyDeferred) report(scan.whyDeferred.message);
  compare('uninitialized memory', ofKind('uninitialized'), 'free-uninitialized');
  compare('the buddy allocator', ofKind('free'), 'free-buddy');
  if (tablesHaveType(kernel)) compare('page tables', ofKind('page-table'), 'page-tables');
  compare('shared memory', ofKind('shmem'), 'shared');
  compare('the swap cache', ofKind('swap-cache'), 'swap-cache');
  compare('huge pages', ofKind('hugetlb'), 'hugetlb');
  compare('the LRU lists', scan.lru, 'all-lru');
  compare('reclaimable slabs', ofKind('slab-reclaimable'), 'slab-reclaimable');
  // Before 6.15 large kmallocs have no mark, and are counted with these.
  const slabs = ofKind('slab') + ofKind('large-kmalloc');
  if (ofKind('large-kmalloc') > 0) compare('other slabs and large kmalloc', slabs, 'all-slab');
  else atLeast(report, 'other slabs', counts.get('all-slab'), slabs);
  atLeast(report, 'anonymous memory', ofKind('anonymous') + ofKind('swap-cache'), counts.get('anonymous'));
  atLeast(report, 'the page cache', ofKind('file'), counts.get('page-cache'));
  checkLists(kernel, scan, counts, warnings);
  if (scan.unread > 0) return;
  try {
    for (const { name, counted, slabs: ours } of slabsOfCaches(kernel, scan))
      if (counted !== ours) report(`${name} counts ${counted} slabs, but ${ours} were found`);
  } catch (error) {
    warnings.add(codeOf(error), `slab counts of caches: ${(error as Error).message}`);
  }
  for (const [order, counted] of freeBlocks(places).entries()) {
    const ours = scan.freeBlocks[order] ?? 0;
    if (ours !== counted) report(`the free lists count ${counted} order-${order} blocks, but ${ours} were found`);
  }
}

/**
 * Checks that pages of LRU kinds are on an LRU list, unless they are in transit, and that other pages are
 * not.
 */
function checkLists(kernel: Kernel, scan: FrameScan, counts: KernelCounts, warnings: Warnings): void {
  const { pages, first } = scan.unexpectedOnLru;
  if (pages > 0)
    warnings.add(
      'torn-list',
      `${pages} pages on the LRU lists are neither anonymous nor file pages (first: page frame ${first})`,
    );
  const isolated = counts.get('all-isolated');
  if (isolated === undefined) return;
  try {
    const unlisted = new UnlistedPages(kernel);
    const lost = unlisted.lostOfBatches();
    if (lost > 0)
      warnings.add(
        'torn-list',
        `${lost} pages in per-CPU LRU batches have no reference; one is wrong, or a CPU stopped during an update`,
      );
    const odd = scan.missingFromLru.filter((frame) => !unlisted.isExplained(frame));
    if (odd.length <= isolated) return;
    warnings.add(
      'torn-list',
      `${odd.length} anonymous or file pages are in no process, file or LRU list (first: page frame ${odd[0]})`,
    );
  } catch (error) {
    warnings.add(codeOf(error), `pages outside the LRU lists: ${(error as Error).message}`);
  }
}

/** Returns the number of possible CPUs, or 0 if unknown: then it excuses no difference. */
function possibleCpus(kernel: Kernel): number {
  try {
    return cpuMask(kernel, '__cpu_possible_mask').length;
  } catch (error) {
    if (error instanceof ReadError || error instanceof KernelError) return 0;
    throw error;
  }
}

/** The kernel may count less than is found, never more. */
function atLeast(
  report: (message: string) => void,
  what: string,
  more: number | undefined,
  less: number | undefined,
): void {
  if (more === undefined || less === undefined || more >= less) return;
  report(`there are ${more} pages of ${what}, and ${less} of them are counted`);
}

/** Slab counts of each cache; nothing if the kernel has no such count. */
function* slabsOfCaches(kernel: Kernel, scan: FrameScan): Generator<{ name: string; counted: number; slabs: number }> {
  const head = kernel.symbol('slab_caches');
  if (head === undefined) return;
  const list = new StructReader(kernel, 'kmem_cache', ['list']).offset('list');
  for (const node of listNodes(kernel, head)) {
    const cache = node - BigInt(list);
    const counted = slabsCounted(kernel, cache);
    if (counted === undefined) return;
    const name = `the slab cache at ${hex(cache)}`;
    yield { name, counted, slabs: scan.slabs.get(cache)?.slabs ?? 0 };
  }
}

/** Returns the number of free blocks of each order in all zones. */
function freeBlocks(places: readonly Zone[]): number[] {
  const counts: number[] = [];
  for (const { freeBlocks: own } of places)
    for (const [order, many] of own.entries()) counts[order] = (counts[order] ?? 0) + many;
  return counts;
}
