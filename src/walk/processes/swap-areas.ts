import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';

/**
 * How many areas of swap there may be: entries of higher numbers are of pages on their way, damaged ones and
 * markers (include/linux/swapops.h). Undefined: the kernel names none.
 */
export function swapAreas(kernel: Kernel): number | undefined {
  const at = kernel.symbol('nr_swapfiles');
  if (at === undefined) return undefined;
  return readPartOf(kernel, 'nr_swapfiles', at, at, 4).getUint32(0, true);
}
