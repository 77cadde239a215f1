import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';

/**
 * First frame of the huge page of zeros, which is mapped where memory was only read (mm/huge_memory.c) and counts
 * as nobody's; -1: there is none, or the kernel names no data. Entries that map it say that it is special since
 * 6.16 alone.
 *
 * @throws {ReadError}
 */
export function hugeZeroFrame(kernel: Kernel): number {
  const at = kernel.symbol('huge_zero_pfn');
  if (at === undefined) return -1;
  const frame = readPartOf(kernel, 'huge_zero_pfn', at, at, 8).getBigUint64(0, true);
  return frame < 2n ** 52n ? Number(frame) : -1;
}
