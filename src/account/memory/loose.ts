import type { Kernel } from '../../kernel/kernel.js';
import type { FrameScan } from '../../walk/memory/frame-scan.js';
import { looseBlocks } from '../../walk/memory/loose-blocks.js';
import type { Zone } from '../../walk/memory/zones.js';
import { addError, type Warnings } from '../../walk/warnings.js';
import type { Loose } from './answer.js';
import type { KernelCounts } from './counters.js';
import type { FrameLedger } from './frame-ledger.js';

/** Facts about the machine. */
interface LooseFacts {
  readonly scan: FrameScan;
  readonly counts: KernelCounts;
  readonly places: readonly Zone[];
}

/**
 * Describes unattributed memory: blocks by size, zones, and the amount charged to cgroups. Undefined if that
 * is impossible; a warning gives the reason.
 */
export function describeLoose(
  kernel: Kernel,
  ledger: FrameLedger,
  { scan, counts, places }: LooseFacts,
  warnings: Warnings,
): Loose | undefined {
  try {
    const sizes = new Map<number, { blocks: number; frames: number }>();
    const several = new Set(places.map(({ nodeId }) => nodeId)).size > 1;
    const byZone = new Map<string, number>();
    let charged = 0;
    for (const block of looseBlocks(kernel, ledger.framesOf('unattributed'))) {
      const order = Math.ceil(Math.log2(block.frames));
      const size = sizes.get(order) ?? { blocks: 0, frames: 0 };
      sizes.set(order, size);
      size.blocks++;
      size.frames += block.frames;
      if (block.charge !== 0n) charged += block.frames;
      const zone = places.find(
        ({ start, spanned }) => block.frame >= start && block.frame < start + spanned,
      );
      const name = zone === undefined ? '?' : several ? `${zone.nodeId} ${zone.name}` : zone.name;
      byZone.set(name, (byZone.get(name) ?? 0) + block.frames);
    }
    return {
      sizes: [...sizes]
        .map(([order, size]) => ({ order, ...size }))
        .toSorted((a, b) => a.order - b.order),
      zones: [...byZone].map(([zone, frames]) => ({ zone, frames })),
      charged,
      ...largeKmallocs(scan, ledger, counts),
    };
  } catch (error) {
    addError(warnings, 'unattributed memory', error);
    return undefined;
  }
}

/**
 * Before 6.15 the pages of large kmallocs have no mark; the kernel counts them with unreclaimable slab, whose
 * pages have one.
 */
function largeKmallocs(
  scan: FrameScan,
  ledger: FrameLedger,
  counts: KernelCounts,
): Pick<Loose, 'largeKmallocs'> {
  const counted = counts.get('all-slab');
  if (counted === undefined || (ledger.sums().get('large-kmalloc') ?? 0) > 0) return {};
  let slabs = 0;
  for (const { reclaimable, frames } of scan.slabs.values()) if (!reclaimable) slabs += frames;
  return { largeKmallocs: counted - slabs };
}
