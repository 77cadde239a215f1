import { highHalf, lowHalf } from '../../halves.js';
import type { Architecture } from './arch.js';

/**
 * Physical address of the byte at a virtual one, by page tables alone, even where the direct map would
 * tell it too; -1 where they lead nowhere.
 *
 * @throws {ReadError} when a table cannot be read
 */
export function walkTables(arch: Architecture, address: bigint): number {
  return arch.translate(highHalf(address), lowHalf(address));
}
