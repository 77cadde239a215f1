import type { Kernel } from '../../kernel/kernel.js';
import type { FrameScan } from '../../walk/memory/frame-scan.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import { zones } from '../../walk/memory/zones.js';
import { StructReader } from '../../walk/struct-reader.js';
import type { KernelCounts } from './counters.js';
import { DRAWERS, type DrawerName } from './drawers.js';
import type { FrameLedger } from './frame-ledger.js';
import type { Missed } from './tree.js';

/**
 * Facts of a dump that cannot all be true: drawers against the kernel's own counters where both count the
 * same to the page, free blocks against the free lists, and pages that somebody holds and that are free.
 * On a live kernel both change between two reads: nothing is said.
 */
export function contradictions(
  kernel: Kernel,
  ledger: FrameLedger,
  scan: FrameScan,
  counts: KernelCounts,
  missed: ReadonlyMap<DrawerName, Missed>,
): string[] {
  if (kernel.facts.live) return [];
  const found: string[] = [];
  const sums = ledger.sums();
  const frames = (drawer: DrawerName) => sums.get(drawer) ?? 0;
  const compare = (what: string, ours: number, name: Parameters<KernelCounts['get']>[0]): void => {
    const theirs = counts.get(name);
    if (theirs === undefined || theirs === ours) return;
    found.push(`the kernel counts ${theirs} pages of ${what}, and ${ours} are found`);
  };
  compare('memory', ledger.size, 'memory');
  const reserved = scan.kinds.reduce((sum, kind) => sum + (kind === KIND.reserved ? 1 : 0), 0);
  compare('what was set aside at boot', reserved, 'all-reserved');
  compare('the buddy allocator', frames('free-buddy'), 'free-buddy');
  if (!missed.has('percpu')) compare('per-CPU memory', frames('percpu'), 'percpu');
  compare('shared memory', frames('shared'), 'shared');
  compare('the swap cache', frames('swap-cache'), 'swap-cache');
  compare('reclaimable slabs', frames('slab-reclaimable'), 'slab-reclaimable');
  if (frames('unread') === 0) {
    for (const [order, counted] of freeBlocks(kernel).entries()) {
      const ours = scan.freeBlocks[order] ?? 0;
      if (ours !== counted)
        found.push(
          `the free lists count ${counted} blocks of order ${order}, and ${ours} are found`,
        );
    }
  }
  for (const drawer of DRAWERS) {
    const free = ledger.freeButHeld(drawer);
    // The image: what only the boot needed was given to the buddy allocator.
    if (free > 0 && drawer !== 'image') found.push(`${drawer}: ${free} of its pages are free`);
  }
  return found;
}

/** `zone.free_area[order].nr_free`, over all zones. */
function freeBlocks(kernel: Kernel): number[] {
  const area = new StructReader(kernel, 'free_area', ['nr_free']);
  const { free_area: areas } = new StructReader(kernel, 'zone', ['free_area']).members;
  const counts = new Array<number>(areas.count ?? 0).fill(0);
  for (const { address } of zones(kernel)) {
    counts.forEach((_, order) => {
      const at = address + BigInt(areas.offset + order * area.size);
      counts[order]! += area.read(at).number('nr_free');
    });
  }
  return counts;
}
