import { KernelError, ReadError } from '../../../base/errors/kernel.js';
import { hex } from '../../../base/hex.js';
import { highHalf, lowHalf } from '../../halves.js';
import type { MemoryImage } from '../image/image.js';
import type { EarlyKernel } from './arch.js';
import { RegionSearch } from './region-search.js';
import { ofTable, tableName } from './table-error.js';
import { readVariable } from './variables.js';

/** A byte of the kernel image whose place is known both ways. */
export interface Anchor {
  readonly virtual: bigint;
  readonly physical: number;
}

/** A way through page tables: a physical address, or -1. @throws {ReadError} */
export type Walk = (high: number, low: number) => number;

/** Where page tables lead an address; -1 where they lead nowhere, or cannot be read. */
export function walkOrNot(walk: Walk, address: bigint, search: RegionSearch): number {
  try {
    return walk(highHalf(address), lowHalf(address));
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    search.missed(tableName(error), ofTable(error, address));
    return -1;
  }
}

/** @throws {KernelError} `damaged` when page tables do not lead the anchor where VMCOREINFO does. */
export function checkAnchor(walk: Walk, { virtual, physical }: Anchor): void {
  let found: number;
  try {
    found = walk(highHalf(virtual), lowHalf(virtual));
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    const { message: why } = ofTable(error, virtual);
    const message = `kernel page tables: ${why}`;
    throw new KernelError('damaged', message, { cause: error });
  }
  if (found === physical) return;
  const place = found < 0 ? 'nowhere' : `to physical ${hex(found)}`;
  throw new KernelError(
    'damaged',
    `page tables and VMCOREINFO are inconsistent (${hex(virtual)} maps ${place}, not to ${hex(physical)})`,
  );
}

/**
 * Whether page tables lead places of a map where the map says, given by where each should be.
 * A page may be left out of a map; one that leads elsewhere is a contradiction.
 */
export function agrees(
  walk: Walk,
  places: readonly { readonly virtual: bigint; readonly physical: number }[],
  search: RegionSearch,
): boolean {
  let agreed = 0;
  for (const { virtual, physical } of places) {
    const found = walkOrNot(walk, virtual, search);
    if (found === physical) agreed++;
    else if (found >= 0) return false;
  }
  return agreed > 0;
}

/** A heavily filtered dump has millions of ranges; past this many, their end is not looked for. */
const MOST_RANGES = 100_000;

/**
 * Physical end of the memory that the kernel knows of, or at least of that in the image.
 *
 * @param most what no address goes beyond
 */
export function memoryEnd(
  kernel: EarlyKernel,
  image: MemoryImage,
  pageSize: number,
  most: number,
): number {
  const frames = readVariable(kernel, 'max_pfn', new RegionSearch('end of memory'));
  if (frames) return Math.min(Number(frames) * pageSize, most);
  let last = 0;
  let seen = 0;
  for (const { end } of image.facts.physicalRanges) {
    if (++seen > MOST_RANGES) return most;
    last = Math.max(last, end);
  }
  return Math.min(last, most);
}
