import { KernelError, ReadError } from '../../kernel/error.js';
import { hex } from '../../kernel/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../../walk/list.js';
import { cpuMask } from '../../walk/machine/cpus.js';
import type { FrameScan } from '../../walk/memory/frame-scan.js';
import { KIND, KINDS, type PageKind } from '../../walk/memory/page-kinds.js';
import type { Zone } from '../../walk/memory/zones.js';
import { slabsCounted } from '../../walk/pages/slab-totals.js';
import { StructReader } from '../../walk/struct-reader.js';
import type { Warnings } from '../../walk/warnings.js';
import type { Areas } from './areas.js';
import type { KernelCounts } from './counters.js';
import { DRAWERS, type DrawerName } from './drawers.js';
import type { FrameLedger } from './frame-ledger.js';
import { codeOf, type Missed } from './missed.js';

/** What is held against each other. */
interface Facts {
  readonly ledger: FrameLedger;
  readonly areas: Areas;
  readonly scan: FrameScan;
  readonly counts: KernelCounts;
  readonly missed: Missed;
  readonly places: readonly Zone[];
}

/**
 * Base pages that a CPU moves before it counts them: isolate_lru_folios (mm/vmscan.c) takes 32 off their list,
 * and rmqueue_bulk (mm/page_alloc.c, before 6.9) 63 out of the buddy allocator. A panic stops CPUs amid that.
 */
const UNCOUNTED = 64;

/** What only boot and hotplug change. */
const FIXED: ReadonlySet<string> = new Set(['memory', 'all-reserved']);

/**
 * Facts of a dump that cannot all be true: drawers against the kernel's own counters where both count the
 * same to the page, free blocks against the free lists, and pages that somebody holds and that are free.
 * On a live kernel both change between two reads: nothing is said.
 */
export function tellContradictions(
  kernel: Kernel,
  { ledger, areas, scan, counts, missed, places }: Facts,
  warnings: Warnings,
): void {
  if (kernel.facts.live) return;
  const tell = (message: string) => warnings.add('corrupt', message);
  const cpus = possibleCpus(kernel);
  const sums = ledger.sums();
  const frames = (drawer: DrawerName) => sums.get(drawer) ?? 0;
  const compare = (what: string, ours: number, name: Parameters<KernelCounts['get']>[0]): void => {
    const theirs = counts.get(name);
    if (theirs === undefined || theirs === ours) return;
    const message = `the kernel counts ${theirs} pages of ${what}, and ${ours} are found`;
    const isAmid = Math.abs(theirs - ours) <= UNCOUNTED * cpus && !FIXED.has(name);
    if (isAmid)
      warnings.add('torn-list', `${message}: one is wrong, or CPUs stopped amid a change`);
    else tell(message);
  };
  compare('memory', ledger.size, 'memory');
  const kinds = new Array<number>(KINDS.length).fill(0);
  for (const kind of scan.kinds) kinds[kind]!++;
  const ofKind = (kind: PageKind) => kinds[KIND[kind]] ?? 0;
  compare('what was set aside at boot', ofKind('reserved'), 'all-reserved');
  compare('the buddy allocator', ofKind('free'), 'free-buddy');
  compare('page tables', ofKind('page-table'), 'page-tables');
  compare('shared memory', ofKind('shmem'), 'shared');
  compare('the swap cache', ofKind('swap-cache'), 'swap-cache');
  compare('huge pages', ofKind('hugetlb'), 'hugetlb');
  compare('the lists of those that were used last (LRU)', scan.lru, 'all-lru');
  compare('reclaimable slabs', ofKind('slab-reclaimable'), 'slab-reclaimable');
  // Before 6.15 large kmallocs do not say what they are, and are counted with these.
  const slabs = ofKind('slab') + ofKind('large-kmalloc');
  if (ofKind('large-kmalloc') > 0) compare('other slabs and large kmallocs', slabs, 'all-slab');
  else atLeast(tell, 'other slabs', counts.get('all-slab'), slabs);
  atLeast(
    tell,
    'anonymous memory',
    ofKind('anonymous') + ofKind('swap-cache'),
    counts.get('anonymous'),
  );
  atLeast(tell, 'the page cache', ofKind('file'), counts.get('page-cache'));
  if (!missed.spoils('percpu')) compare('per-CPU memory', frames('percpu'), 'percpu');
  if (!missed.spoils('kernel-stacks')) {
    const { less, more } = areas.stackSlack();
    const [ours, theirs] = [frames('kernel-stacks'), counts.get('kernel-stacks') ?? Number.NaN];
    if (theirs < ours - less || theirs > ours + more)
      compare('kernel stacks', ours, 'kernel-stacks');
  }
  const ofAreas = ['kernel-stacks', 'modules', 'bpf', 'vmalloc'] as const;
  if (ofAreas.every((drawer) => !missed.spoils(drawer))) {
    const mapped = ofAreas.reduce((sum, drawer) => sum + frames(drawer), 0);
    compare('vmalloc, stacks among them', mapped, 'all-vmalloc');
  }
  if (frames('unread') === 0) {
    try {
      for (const { name, counted, slabs: ours } of slabsOfCaches(kernel, scan))
        if (counted !== ours) tell(`${name} counts ${counted} slabs, and ${ours} are found`);
    } catch (error) {
      warnings.add(codeOf(error), `how many slabs caches count: ${(error as Error).message}`);
    }
    for (const [order, counted] of freeBlocks(places).entries()) {
      const ours = scan.freeBlocks[order] ?? 0;
      if (ours !== counted)
        tell(`the free lists count ${counted} blocks of order ${order}, and ${ours} are found`);
    }
  }
  for (const drawer of DRAWERS) {
    const free = ledger.freeButHeld(drawer);
    // The image: what only the boot needed was given to the buddy allocator.
    if (free > 0 && drawer !== 'image') tell(`${drawer}: ${free} of its pages are free`);
  }
}

/** 0: they cannot be told, and no difference is excused by them. */
function possibleCpus(kernel: Kernel): number {
  try {
    return cpuMask(kernel, '__cpu_possible_mask').length;
  } catch (error) {
    if (error instanceof ReadError || error instanceof KernelError) return 0;
    throw error;
  }
}

/** Some of what is found the kernel does not count, and never the other way round. */
function atLeast(
  tell: (message: string) => void,
  what: string,
  more: number | undefined,
  less: number | undefined,
): void {
  if (more === undefined || less === undefined || more >= less) return;
  tell(`there are ${more} pages of ${what}, and ${less} of them are counted`);
}

/** What each slab cache counts of its slabs; none where the kernel keeps no such count. */
function* slabsOfCaches(
  kernel: Kernel,
  scan: FrameScan,
): Generator<{ name: string; counted: number; slabs: number }> {
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

/** Free blocks of each order, over all zones. */
function freeBlocks(places: readonly Zone[]): number[] {
  const counts: number[] = [];
  for (const { freeBlocks: own } of places)
    for (const [order, many] of own.entries()) counts[order] = (counts[order] ?? 0) + many;
  return counts;
}
