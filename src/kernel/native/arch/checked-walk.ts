import { KernelError, PageTableError, ReadError } from '../../../base/errors.js';
import { hex } from '../../../base/util.js';
import { highHalf, lowHalf } from '../../pointer.js';
import type { MemoryImage } from '../image/image.js';
import type { EarlyKernel } from './arch.js';
import { RegionSearch, readVariable } from './section-table.js';

/** A byte of the kernel image with known virtual and physical address. */
export interface Anchor {
  readonly virtual: bigint;
  readonly physical: number;
}

/** A page table walk: returns a physical address, or -1. @throws {ReadError} */
export type Walk = (high: number, low: number) => number;

/** Translates an address by page tables; -1 if it is not mapped or a table cannot be read. */
export function walkOrNot(walk: Walk, address: bigint, search: RegionSearch): number {
  try {
    return walk(highHalf(address), lowHalf(address));
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    search.addMiss(tableName(error), pageTableError(error, address));
    return -1;
  }
}

/** @throws {KernelError} `damaged` when the page tables translate the anchor differently than VMCOREINFO. */
export function checkAnchor(walk: Walk, { virtual, physical }: Anchor): void {
  let walked: number;
  try {
    walked = walk(highHalf(virtual), lowHalf(virtual));
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    const { message: why } = pageTableError(error, virtual);
    const message = `kernel page tables: ${why}`;
    throw new KernelError('damaged', message, { cause: error });
  }
  if (walked === physical) return;
  const place = walked < 0 ? 'nowhere' : `to physical ${hex(walked)}`;
  throw new KernelError(
    'damaged',
    `page tables and VMCOREINFO are inconsistent (${hex(virtual)} maps ${place}, not to ${hex(physical)})`,
  );
}

/**
 * Whether page tables agree with a presumed mapping at sample addresses with expected physical
 * addresses. An unmapped page is no contradiction; a different translation is.
 */
export function agrees(
  walk: Walk,
  places: readonly { readonly virtual: bigint; readonly physical: number }[],
  search: RegionSearch,
): boolean {
  let agreed = 0;
  for (const { virtual, physical } of places) {
    const walked = walkOrNot(walk, virtual, search);
    if (walked === physical) agreed++;
    else if (walked >= 0) return false;
  }
  return agreed > 0;
}

/** A heavily filtered dump has millions of ranges; the end of memory is not searched past this many. */
const MAX_RANGES = 100_000;

/**
 * Physical end of the memory that the kernel knows of, or at least of that in the image.
 *
 * @param limit upper bound on the address
 */
export function memoryEnd(kernel: EarlyKernel, image: MemoryImage, pageSize: number, limit: number): number {
  const frames = readVariable(kernel, 'max_pfn', new RegionSearch('end of memory'));
  if (frames) return Math.min(Number(frames) * pageSize, limit);
  let last = 0;
  let ranges = 0;
  for (const { end } of image.facts.physicalRanges) {
    if (++ranges > MAX_RANGES) return limit;
    last = Math.max(last, end);
  }
  return Math.min(last, limit);
}

/** More than any kernel address space needs: 16 GiB of tables, which map 8 PiB. */
const MAX_TABLES = 2 ** 22;

/**
 * Every table of a page table tree, each once: several entries may refer to one.
 *
 * @param root physical address of the top table
 * @param below returns the tables that a table refers to; `levelsBelow` is the number of levels below it
 */
export function* eachTable(
  root: number,
  levels: number,
  below: (table: number, levelsBelow: number) => readonly number[],
): Generator<number> {
  const visited = new Set([root]);
  let level = [root];
  yield root;
  for (let levelsBelow = levels - 1; levelsBelow > 0; levelsBelow--) {
    const next: number[] = [];
    for (const table of level) {
      for (const child of below(table, levelsBelow)) {
        if (visited.has(child) || visited.size >= MAX_TABLES) continue;
        visited.add(child);
        next.push(child);
        yield child;
      }
    }
    level = next;
  }
}

/** Adds the address under translation to the error for an unreadable page table. */
export function pageTableError(error: ReadError, address: bigint): PageTableError {
  return new PageTableError(error.code, address, tableName(error), { cause: error });
}

/** @param error the read error of the table: its address is the table's */
export function tableName({ address }: ReadError): string {
  return `page table at physical ${hex(address)}`;
}
