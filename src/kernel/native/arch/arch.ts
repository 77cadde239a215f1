import { KernelError, ReadError, readOrNot } from '../../../base/errors.js';
import { bytesOf } from '../../bytes.js';
import type { UserPages } from '../../kernel.js';
import type { PageArray } from '../../page-map.js';
import { highHalf, lowHalf } from '../../pointer.js';
import type { MemoryImage } from '../image/image.js';

/**
 * Architecture support of the native engine: translation of virtual to physical addresses. Built from
 * VMCOREINFO alone, so that symbols can be read through it; `settle` then uses the kernel's own variables.
 */
export interface Architecture {
  readonly name: 'x86_64' | 'arm64';
  /** Machine name as in `uname -m` and in dump headers. */
  readonly machine: 'x86_64' | 'aarch64';
  /** Bytes of a base page. */
  readonly pageSize: number;
  /** Description of the paging mode: `4-level page tables`. */
  readonly paging: string;
  /** Address range in which the kernel image can be, for scans. */
  readonly imageRange: { readonly start: bigint; readonly end: bigint };

  /**
   * Translates a virtual address, given in 32-bit halves, by the kernel's page tables; -1 where
   * nothing is mapped. Valid up to the end of the base page.
   *
   * @throws {ReadError} when a table cannot be read; its address is that of the table.
   */
  translate(high: number, low: number): number;

  /**
   * Physical addresses of the kernel's own page tables, each once.
   *
   * @throws {ReadError} when an upper-level table cannot be read
   */
  tables(): Generator<number>;

  /** Entry format of the page tables of processes. */
  readonly userEntries: EntryFormat;

  /** Protection of an address: distinguishes constants, code and variables in the image. */
  protection(address: bigint): Protection | undefined;

  /** Locates the direct map and the array of `struct page`, and checks both against page tables. */
  settle(kernel: EarlyKernel): Bases;
}

export interface Protection {
  readonly writable: boolean;
  readonly executable: boolean;
}

/** A partially opened kernel: its symbols can be read, and little else. */
export interface EarlyKernel {
  symbol(name: string): bigint | undefined;
  read(address: bigint, length: number): DataView;
}

/** The two regions needed to convert between a page and its memory. */
export interface Bases {
  readonly directMap: RegionResult<LinearRange>;
  /** The array of `struct page`: element n describes page frame n. */
  readonly pages: RegionResult<PageArray>;
}

/** A region that was found, with its source; or the error to throw when it is needed. */
export type RegionResult<Region> =
  | { readonly found: Region; readonly from: string }
  | { readonly found: undefined; readonly error: KernelError | ReadError };

/**
 * Translates a virtual address by page tables only, even where the direct map covers it; -1 where
 * nothing is mapped.
 *
 * @throws {ReadError} when a table cannot be read
 */
export function walkTables(arch: Architecture, address: bigint): number {
  return arch.translate(highHalf(address), lowHalf(address));
}

/**
 * Virtual addresses that map physical memory linearly, such as the direct map. Lengths and physical
 * addresses are bytes, below 2^53.
 */
export class LinearRange {
  readonly address: bigint;
  readonly length: number;
  readonly physical: number;
  readonly #high: number;
  readonly #low: number;

  constructor(address: bigint, length: number, physical: number) {
    this.address = address;
    this.length = length;
    this.physical = physical;
    this.#high = highHalf(address);
    this.#low = lowHalf(address);
  }

  /** Bytes from the start to an address in halves: exact inside the range, else negative or too large. */
  offset(high: number, low: number): number {
    return (high - this.#high) * 0x1_0000_0000 + (low - this.#low);
  }
}

export const ENTRY = { none: 0, table: 1, page: 2, special: 3, absent: 4 } as const;

type EntryKind = (typeof ENTRY)[keyof typeof ENTRY];

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

/** Levels below a table whose entries may map huge pages that processes share. */
const HUGE_LEVEL = 1;

/** Maximum number of tables of one process: 4 million map 8 TiB or more. */
const MAX_TABLES = 2 ** 22;

/**
 * Walks the page tables of one process in address order. A running kernel may free a table amid the walk and use its
 * memory for another one, or for data: there, a table counts if the entry that led to it still does after it was read.
 * A table of huge pages may be there twice: a process that maps the same file of hugetlbfs twice shares it with itself
 * (huge_pmd_share in mm/hugetlb.c).
 *
 * @param root physical address of the top table
 * @throws {KernelError} `damaged` if two entries lead to any other table, or there are too many
 */
export function walkUserTables(image: MemoryImage, format: EntryFormat, root: number, visitor: UserPages): void {
  const { pageShift, levels, topEntries } = format;
  const { live } = image.facts;
  const perTable = 2 ** (pageShift - 3);
  const loop = () => new KernelError('damaged', 'user page tables form a loop');
  /** The entry that led to each table, and the levels below it. */
  const known = new Map<number, { readonly entry: number | undefined; readonly levelsBelow: number }>();
  let walked = 0;
  const read = (address: number, length: number): DataView => {
    if (!live) return image.readPhysical(address, length);
    const forget = image.noteReads();
    try {
      image.readPhysical(address, length);
    } finally {
      forget();
    }
    return new DataView(bytesOf(image.readPhysical(address, length)).slice().buffer);
  };
  const leadsTo = (table: number, entry: number | undefined, levelsBelow: number): boolean => {
    if (entry === undefined) return true;
    const view = read(entry, 8);
    const [low, high] = [view.getUint32(0, true), view.getUint32(4, true)];
    return format.kindOf(low, high, levelsBelow + 1) === ENTRY.table && format.addressOf(low, high) === table;
  };
  const walk = (table: number, levelsBelow: number, first: number, entry?: number): void => {
    const before = known.get(table);
    const isTwice =
      before !== undefined && (!live || readOrNot(() => leadsTo(table, before.entry, before.levelsBelow)) === true);
    const mayBeTwice = levelsBelow === HUGE_LEVEL && before?.levelsBelow === HUGE_LEVEL;
    if ((isTwice && !mayBeTwice) || ++walked > MAX_TABLES) throw loop();
    known.set(table, { entry, levelsBelow });
    const count = levelsBelow === levels - 1 ? topEntries : perTable;
    const pages = perTable ** levelsBelow;
    let entries: DataView;
    try {
      entries = read(table, count * 8);
      if (live && !leadsTo(table, entry, levelsBelow)) return;
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
        if (isTwice) throw loop();
        walk(format.addressOf(low, high), levelsBelow - 1, page, table + index * 8);
        // The image's cache may have evicted the view's memory: read it again.
        if (!live) entries = image.readPhysical(table, count * 8);
      }
    }
  };
  walk(root, levels - 1, 0);
}
