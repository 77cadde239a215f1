import { KernelError, ReadError } from '../../../base/errors/kernel.js';
import type { UserPages } from '../../kernel.js';
import type { MemoryImage } from '../image/image.js';

/** What an entry of a page table is. */
export const ENTRY = { none: 0, table: 1, page: 2, special: 3, absent: 4 } as const;

export type EntryKind = (typeof ENTRY)[keyof typeof ENTRY];

/** How an architecture writes the entries of a process's page tables. */
export interface EntryFormat {
  readonly pageShift: number;
  readonly levels: number;
  /** Entries of the top table that are the process's. */
  readonly topEntries: number;
  /** @param left levels below: 0 is the lowest */
  kindOf(low: number, high: number, left: number): EntryKind;
  /** The physical address in an entry, without the bits below what it maps. */
  addressOf(low: number, high: number): number;
  /** Of an entry that maps a page: bits of {@link MARK}. */
  marksOf(low: number, high: number): number;
  /** Of an absent entry: swp_type, or -1, and swp_offset. */
  swapTypeOf(low: number, high: number): number;
  swapOffsetOf(low: number, high: number): number;
}

/** Tables of one process: 4 million map 8 TiB and more. */
const MOST_TABLES = 2 ** 22;

/**
 * Goes through the page tables of one process, in the order of its addresses.
 *
 * @param root physical address of the top table
 * @throws {KernelError} `damaged` where a table is met twice, or there are too many
 */
export function walkUserTables(
  image: MemoryImage,
  format: EntryFormat,
  root: number,
  told: UserPages,
): void {
  const { pageShift, levels, topEntries } = format;
  const perTable = 2 ** (pageShift - 3);
  const seen = new Set<number>();
  const walk = (table: number, left: number, first: number): void => {
    if (seen.has(table) || seen.size >= MOST_TABLES)
      throw new KernelError('damaged', 'user page tables form a loop');
    seen.add(table);
    const count = left === levels - 1 ? topEntries : perTable;
    const pages = perTable ** left;
    let entries: DataView;
    try {
      entries = image.readPhysical(table, count * 8);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      told.missing(first, count * pages, error);
      return;
    }
    told.table(table / 2 ** pageShift);
    for (let index = 0; index < count; index++) {
      const low = entries.getUint32(index * 8, true);
      const high = entries.getUint32(index * 8 + 4, true);
      if (low === 0 && high === 0) continue;
      const kind = format.kindOf(low, high, left);
      const page = first + index * pages;
      if (kind === ENTRY.page || kind === ENTRY.special) {
        const mapped = Math.floor(format.addressOf(low, high) / 2 ** pageShift);
        const frame = mapped - (mapped % pages);
        if (kind === ENTRY.special) told.special?.(page, pages, frame);
        else told.page(page, pages, frame, format.marksOf(low, high));
      } else if (kind === ENTRY.absent)
        told.absent(page, pages, format.swapTypeOf(low, high), format.swapOffsetOf(low, high));
      else if (kind === ENTRY.table) {
        walk(format.addressOf(low, high), left - 1, page);
        // The image's cache may have let go of what the view shows: look again where it was.
        entries = image.readPhysical(table, count * 8);
      }
    }
  };
  walk(root, levels - 1, 0);
}
