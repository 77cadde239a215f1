import { highHalf, lowHalf } from '../../pointer.js';
import type { Architecture } from './arch.js';

/**
 * Translates a virtual address by page tables only, even where the direct map covers it; -1 where
 * nothing is mapped.
 *
 * @throws {ReadError} when a table cannot be read
 */
export function walkTables(arch: Architecture, address: bigint): number {
  return arch.translate(highHalf(address), lowHalf(address));
}
