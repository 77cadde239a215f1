import { KernelError, ReadError } from '../../../base/errors.js';
import type { UserPages } from '../../kernel.js';
import type { MemoryImage } from '../image/image.js';

export const ENTRY = { none: 0, table: 1, page: 2, special: 3, absent: 4 } as const;

export type EntryKind = (typeof ENTRY)[keyof typeof ENTRY];

/** Format of the page table entries of a process on an architecture. */
export interface EntryFormat {
  readonly pageShift: number;
  readonly levels: number;
  /** Number of user-space entries in the top table. */
  readonly topEntries: number;
  /** @param levelsBelow levels below this table: 0 is the lowest */
  kindOf(low: number, high: number, levelsBelow: number): EntryKind;
  /** Returns the physical address in an entry, aligned to the mapped size. */
  addressOf(low: number, high: number): number;
  /** For an entry that maps a page: bits of {@link MARK}. */
  marksOf(low: number, high: number): number;
  /** For an absent entry: swp_type, or -1. */
  swapTypeOf(low: number, high: number): number;
  swapOffsetOf(low: number, high: number): number;
}

/** Maximum number of tables of one process: 4 million map 8 TiB or more. */
const MAX_TABLES = 2 ** 22;

/**
 * Walks the page tables of one process in address order.
 *
 * @param root physical address of the top table
 * @throws {KernelError} `damaged` if a table is reached twice, or there are too many
 */
export function walkUserTables(
  image: MemoryImage,
  format: EntryFormat,
  root: number,
  visitor: UserPages,
): void {
  const { pageShift, levels, topEntries } = format;
  const perTable = 2 ** (pageShift - 3);
  const visited = new Set<number>();
  const walk = (table: number, levelsBelow: number, first: number): void => {
    if (visited.has(table) || visited.size >= MAX_TABLES)
      throw new KernelError('damaged', 'user page tables form a loop');
    visited.add(table);
    const count = levelsBelow === levels - 1 ? topEntries : perTable;
    const pages = perTable ** levelsBelow;
    let entries: DataView;
    try {
      entries = image.readPhysical(table, count * 8);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      visitor.missing(first, count * pages, error);
      return;
    }
    if (visitor.table(table / 2 ** pageShift, levelsBelow) === false) return;
    for (let index = 0; index < count; index++) {
      const low = entries.getUint32(index * 8, true);
      const high = entries.getUint32(index * 8 + 4, true);
      if (low === 0 && high === 0) continue;
      const kind = format.kindOf(low, high, levelsBelow);
      const page = first + index * pages;
      if (kind === ENTRY.page || kind === ENTRY.special) {
        const mapped = Math.floor(format.addressOf(low, high) / 2 ** pageShift);
        const frame = mapped - (mapped % pages);
        if (kind === ENTRY.special) visitor.special?.(page, pages, frame);
        else visitor.page(page, pages, frame, format.marksOf(low, high));
      } else if (kind === ENTRY.absent)
        visitor.absent(page, pages, format.swapTypeOf(low, high), format.swapOffsetOf(low, high));
      else if (kind === ENTRY.table) {
        walk(format.addressOf(low, high), levelsBelow - 1, page);
        // The image's cache may have evicted the view's memory: read it again.
        entries = image.readPhysical(table, count * 8);
      }
    }
  };
  walk(root, levels - 1, 0);
}
