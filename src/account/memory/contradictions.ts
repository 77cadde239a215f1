import type { Kernel } from '../../kernel/kernel.js';
import type { FrameScan } from '../../walk/memory/frame-scan.js';
import type { Zone } from '../../walk/memory/zones.js';
import type { Warnings } from '../../walk/warnings.js';
import type { Areas } from './areas.js';
import type { KernelCounts } from './counters.js';
import { DRAWERS, type DrawerName } from './drawers.js';
import { checkFrames, comparison } from './frame-checks.js';
import type { FrameLedger } from './frame-ledger.js';
import type { Missed } from './missed.js';

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
 * Facts of a dump that cannot all be true: drawers against the kernel's own counters where both count the
 * same to the page, what all struct pages say ({@link checkFrames}), and pages that are held and free.
 * On a live kernel both change between two reads: nothing is said.
 */
export function tellContradictions(
  kernel: Kernel,
  { ledger, areas, scan, counts, missed, places }: Facts,
  warnings: Warnings,
): void {
  if (kernel.facts.live) return;
  const tell = (message: string) => warnings.add('corrupt', message);
  const sums = ledger.sums();
  const frames = (drawer: DrawerName) => sums.get(drawer) ?? 0;
  checkFrames(kernel, { scan, frames: ledger.size, counts, places }, warnings);
  const compare = comparison(kernel, counts, warnings);
  if (!missed.spoils('percpu')) compare('per-CPU memory', frames('percpu'), 'percpu');
  if (!missed.spoils('kernel-stacks')) {
    const [ours, theirs] = [frames('kernel-stacks'), counts.get('kernel-stacks')];
    if (theirs !== undefined && theirs !== ours) {
      const { less, more } = areas.stackSlack();
      if (theirs < ours - less || theirs > ours + more)
        compare('kernel stacks', ours, 'kernel-stacks');
    }
  }
  const ofAreas = ['kernel-stacks', 'modules', 'bpf', 'vmalloc'] as const;
  if (ofAreas.every((drawer) => !missed.spoils(drawer))) {
    const mapped = ofAreas.reduce((sum, drawer) => sum + frames(drawer), 0);
    compare('vmalloc, stacks among them', mapped, 'all-vmalloc');
  }
  for (const drawer of DRAWERS) {
    const free = ledger.freeButHeld(drawer);
    // The image: what only the boot needed was given to the buddy allocator.
    if (free > 0 && drawer !== 'image') tell(`${drawer}: ${free} of its pages are free`);
  }
}
