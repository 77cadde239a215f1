import { MARK } from '../../kernel.js';
import type { MemoryImage } from '../image/image.js';
import { ENTRY, type EntryFormat, type Protection } from './arch.js';
import { eachTable } from './checked-walk.js';
import { WalkCache } from './section-table.js';

/** Bits 1:0 of a descriptor: a table above the last level, a page on it. */
const TABLE_OR_PAGE = 3;
/** Bits 1:0 of a descriptor: maps memory itself, above the last level. */
const BLOCK = 1;
/** AP[2]: read-only, unless DBM is set: hardware then clears it on the first write. */
const READ_ONLY = 1 << 7;
/** Upper half: DBM, bit 51. */
const DIRTY_BIT_MODIFIER = 1 << 19;
/** Upper half: PTE_SPECIAL, bit 56: the zero page, device memory. */
const SPECIAL = 1 << 24;
/** Upper half: PTE_DIRTY, bit 55. */
const DIRTY = 1 << 23;
/** AF, bit 10, and nG, bit 11, set in every user page. */
const ACCESSED = 1 << 10;
const NOT_GLOBAL = 1 << 11;
/** Upper half: PXN, bit 53. */
const NO_EXECUTE = 1 << 21;
/** Upper half: PXN and UXN, bits 53 and 54, set for PROT_NONE. */
const NEVER_EXECUTE = NO_EXECUTE | (1 << 22);

/** Parameters of the kernel's page tables (TTBR1). */
export interface Arm64Paging {
  /** log2 of the granule: 12, 14 or 16. */
  readonly pageShift: number;
  /** Address bits that the tables translate: 64 − TCR_EL1.T1SZ. */
  readonly tableBits: number;
  /** Address bits that the kernel was built for (VA_BITS), which determine the size of the top table. */
  readonly addressBits: number;
}

/**
 * The page tables of arm64 (Arm ARM, D8 "The AArch64 Virtual Memory System Architecture"): granules
 * of 4, 16 and 64 KiB, one to five levels, blocks, physical addresses of 48 and 52 bits. Results
 * are cached per lowest-level table: a physical address, or the table. A walk takes one step per
 * level, so a table that points to itself cannot make it loop.
 */
export class Arm64PageTables {
  /** Physical address of the top table. */
  readonly root: number;
  readonly levels: number;
  /** Bits 51:50 of an address are in bits 9:8 of a descriptor (FEAT_LPA2, TCR_EL1.DS). */
  readonly lpa2: boolean;
  readonly #image: MemoryImage;
  readonly #pageShift: number;
  readonly #pageBytes: number;
  readonly #indexBits: number;
  readonly #topBits: number;
  /** Bits 63 to 32 that are set in every kernel address: those above the translated ones. */
  readonly #mustBeSet: number;
  /** log2 of the bytes that a lowest-level table maps. */
  readonly #tableShift: number;
  readonly #highMask: number;
  readonly #lowMask: number;
  /** The highest level, counted from the lowest, whose descriptors can map a block. */
  readonly #maxBlockLevel: number;
  readonly #isCacheable: boolean;
  readonly #walks = new WalkCache();
  #lastKey = -1;
  #last: number | DataView = -1;
  /** Halves of the descriptor that the last step of a walk read. */
  #entryLow = 0;
  #entryHigh = 0;

  /** @param root physical address of `swapper_pg_dir` */
  constructor(image: MemoryImage, root: number, paging: Arm64Paging) {
    const { pageShift, tableBits } = paging;
    this.#image = image;
    this.root = root;
    this.#pageShift = pageShift;
    this.#pageBytes = 2 ** pageShift;
    this.#indexBits = pageShift - 3;
    this.levels = levelsOf(tableBits, pageShift);
    // A kernel for 52 bits on a 48-bit machine still indexes its top table with all its bits if the number of
    // levels is the same (PTRS_PER_PGD); the hardware receives the address of the table's last entries.
    const bits = levelsOf(paging.addressBits, pageShift) === this.levels ? paging.addressBits : 0;
    this.#topBits = Math.max(bits, tableBits) - pageShift - this.#indexBits * (this.levels - 1);
    this.#mustBeSet = (-1 << (tableBits - 32)) >>> 0;
    this.#tableShift = pageShift + this.#indexBits;
    this.lpa2 = pageShift < 16 && tableBits > 48;
    this.#highMask = this.lpa2 ? 0x3_ffff : 0xffff;
    this.#lowMask = -(2 ** pageShift) >>> 0;
    // 1 GiB, 32 MiB, 4 TiB; with LPA2 512 GiB, 64 GiB. Block descriptors above that level are invalid.
    this.#maxBlockLevel = (pageShift === 14 ? 1 : 2) + (this.lpa2 ? 1 : 0);
    // A running kernel changes its tables.
    this.#isCacheable = !image.facts.live;
  }

  /** Physical address, or -1 where nothing is mapped. */
  translate(high: number, low: number): number {
    const key = high * 2 ** (32 - this.#tableShift) + (low >>> this.#tableShift);
    if (key !== this.#lastKey || !this.#isCacheable) {
      this.#last = this.#lookUp(key, high, low);
      this.#lastKey = key;
    }
    const stretch = this.#last;
    if (typeof stretch === 'number') return stretch < 0 ? -1 : stretch + (low % 2 ** this.#tableShift);
    this.#readEntry(stretch, this.#lowestIndex(low));
    if ((this.#entryLow & 3) !== TABLE_OR_PAGE) return -1;
    return this.#address() + (low % this.#pageBytes);
  }

  /** Returns the protection bits of the descriptor that maps an address; undefined if unmapped. */
  protection(high: number, low: number): Protection | undefined {
    const stretch = this.#walk(high, low);
    if (typeof stretch === 'number') {
      if (stretch < 0) return undefined;
    } else {
      this.#readEntry(stretch, this.#lowestIndex(low));
      if ((this.#entryLow & 3) !== TABLE_OR_PAGE) return undefined;
    }
    return {
      writable: (this.#entryLow & READ_ONLY) === 0 || (this.#entryHigh & DIRTY_BIT_MODIFIER) !== 0,
      executable: (this.#entryHigh & NO_EXECUTE) === 0,
    };
  }

  /**
   * Physical addresses of the kernel's page tables, the top one first, each once.
   *
   * @throws {ReadError} when an upper-level table cannot be read
   */
  tables(): Generator<number> {
    return eachTable(this.root, this.levels, (table, levelsBelow) => {
      const bits = levelsBelow === this.levels - 1 ? this.#topBits : this.#indexBits;
      const entries = this.#table(table, bits);
      const below: number[] = [];
      for (let index = 0; index < 2 ** bits; index++) {
        this.#readEntry(entries, index);
        if ((this.#entryLow & 3) === TABLE_OR_PAGE) below.push(this.#address());
      }
      return below;
    });
  }

  /** Entry format of processes (asm/pgtable-prot.h), whose tables translate as many bits as the kernel's. */
  get userEntries(): EntryFormat {
    return {
      pageShift: this.#pageShift,
      levels: this.levels,
      topEntries: 2 ** this.#topBits,
      kindOf: (low, high, levelsBelow) => {
        const kind = low & 3;
        if (levelsBelow > 0 && kind === TABLE_OR_PAGE) return ENTRY.table;
        const valid = levelsBelow === 0 ? TABLE_OR_PAGE : BLOCK;
        const maps = kind === valid || isHidden(low, high, levelsBelow);
        if (!maps || (levelsBelow > 0 && levelsBelow > this.#maxBlockLevel)) return ENTRY.absent;
        return (high & SPECIAL) !== 0 ? ENTRY.special : ENTRY.page;
      },
      marksOf: (low, high) =>
        ((high & DIRTY) !== 0 || ((high & DIRTY_BIT_MODIFIER) !== 0 && (low & READ_ONLY) === 0) ? MARK.dirty : 0) |
        ((low & ACCESSED) !== 0 ? MARK.young : 0),
      // The position of these bits has changed twice and is unknown.
      swapTypeOf: () => -1,
      swapOffsetOf: () => 0,
      addressOf: (low, high) => {
        this.#entryLow = low;
        this.#entryHigh = high;
        return this.#address();
      },
    };
  }

  #lookUp(key: number, high: number, low: number): number | DataView {
    if (!this.#isCacheable) return this.#walk(high, low);
    return this.#walks.get(key) ?? this.#walks.cache(key, this.#walk(high, low));
  }

  /** Returns the physical address that the lowest-level table at an address would map, that table, or -1. */
  #walk(high: number, low: number): number | DataView {
    // Kernel addresses have all bits above the translated ones set.
    if ((high & this.#mustBeSet) >>> 0 !== this.#mustBeSet) return -1;
    let table = this.root;
    for (let levelsBelow = this.levels - 1; levelsBelow > 0; levelsBelow--) {
      const top = levelsBelow === this.levels - 1;
      const shift = this.#pageShift + this.#indexBits * levelsBelow;
      const index = bitsOf(high, low, shift, top ? this.#topBits : this.#indexBits);
      // Reads the whole table: a recording of reads must not contain a partial table.
      this.#readEntry(this.#table(table, top ? this.#topBits : this.#indexBits), index);
      const kind = this.#entryLow & 3;
      if (kind === TABLE_OR_PAGE) {
        table = this.#address();
        continue;
      }
      if (kind !== BLOCK || levelsBelow > this.#maxBlockLevel) return -1;
      // Bits between the block's size and the page's are attributes or must be zero.
      const block = this.#address();
      const into = bitsOf(high, low, this.#tableShift, shift - this.#tableShift);
      return block - (block % 2 ** shift) + into * 2 ** this.#tableShift;
    }
    return this.#table(table, this.levels === 1 ? this.#topBits : this.#indexBits);
  }

  /** Index of an address in its lowest-level table. */
  #lowestIndex(low: number): number {
    return (low % 2 ** this.#tableShift) >>> this.#pageShift;
  }

  #readEntry(table: DataView, index: number): void {
    this.#entryLow = table.getUint32(index * 8, true);
    this.#entryHigh = table.getUint32(index * 8 + 4, true);
  }

  #table(physical: number, bits: number): DataView {
    return this.#image.readPhysical(physical, 2 ** bits * 8);
  }

  /** The address in the current descriptor. */
  #address(): number {
    const low = this.#entryLow;
    const address = (this.#entryHigh & this.#highMask) * 0x1_0000_0000 + ((low & this.#lowMask) >>> 0);
    if (this.lpa2) return address + ((low >>> 8) & 3) * 2 ** 50;
    // With 64 KiB pages, bits 51:48 are in bits 15:12 (FEAT_LPA), which are zero without it.
    if (this.#pageShift === 16) return address + ((low >>> 12) & 15) * 2 ** 48;
    return address;
  }
}

/**
 * Whether an invalid descriptor refers to an inaccessible page (PAGE_NONE in asm/pgtable-prot.h: PROT_NONE,
 * NUMA balancing). The bit that marks it has moved, from PTE_PROT_NONE, bit 58, to nG (6.10); the rest has
 * not. On the lowest level bit 1 stays set, which no swap entry has. In a block it is clear, as in a
 * migration entry: that has page frame numbers where a block has nG, PXN and UXN, and none is that high.
 */
function isHidden(low: number, high: number, levelsBelow: number): boolean {
  if (levelsBelow === 0) return (low & 3) === 2;
  const closed = (low & NOT_GLOBAL) !== 0 && (high & NEVER_EXECUTE) === NEVER_EXECUTE;
  return (low & 3) === 0 && closed;
}

/** Number of table levels that translate this many address bits. */
export function levelsOf(bits: number, pageShift: number): number {
  return Math.ceil((bits - pageShift) / (pageShift - 3));
}

/** Extracts `count` bits (at most 32, or the remaining ones of 64) of an address in halves, from bit `shift` on. */
function bitsOf(high: number, low: number, shift: number, count: number): number {
  if (shift >= 32) return (high >>> (shift - 32)) & (2 ** count - 1);
  return (((shift === 0 ? 0 : high << (32 - shift)) | (low >>> shift)) >>> 0) % 2 ** count;
}
