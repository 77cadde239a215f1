import { MARK } from '../../kernel.js';
import type { MemoryImage } from '../image/image.js';
import type { Protection } from './arch.js';
import { eachTable } from './each-table.js';
import { Stretches } from './stretches.js';
import { ENTRY, type EntryFormat } from './user-tables.js';

/** Bits 1:0 of a descriptor: a table above the last level, a page on it. */
const TABLE_OR_PAGE = 3;
/** Bits 1:0 of a descriptor: maps memory itself, above the last level. */
const BLOCK = 1;
/** AP[2]: not writable, unless DBM says that hardware clears it on the first write. */
const READ_ONLY = 1 << 7;
/** Of the upper half: DBM, bit 51. */
const DIRTY_BIT_MODIFIER = 1 << 19;
/** Of the upper half: PTE_SPECIAL, bit 56: the zero page, a device's memory. */
const SPECIAL = 1 << 24;
/** Of the upper half: PTE_DIRTY, bit 55. */
const DIRTY = 1 << 23;
/** AF, bit 10, and nG, bit 11, which every page of a process has. */
const ACCESSED = 1 << 10;
const NOT_GLOBAL = 1 << 11;
/** Of the upper half: PXN, bit 53. */
const NO_EXECUTE = 1 << 21;
/** Of the upper half: PXN and UXN, bits 53 and 54, which PROT_NONE has. */
const NEVER_EXECUTE = NO_EXECUTE | (1 << 22);

/** What shapes the tables of the kernel's half of the address space (TTBR1). */
export interface Arm64Paging {
  /** log2 of the granule: 12, 14 or 16. */
  readonly pageShift: number;
  /** Bits of an address that the tables translate: 64 − TCR_EL1.T1SZ. */
  readonly tableBits: number;
  /** Bits that the kernel was built for (VA_BITS): its top table has entries for these. */
  readonly addressBits: number;
}

/**
 * The page tables of arm64 (Arm ARM, D8 "The AArch64 Virtual Memory System Architecture"): granules of
 * 4, 16 and 64 KiB, one to five levels, blocks, physical addresses of 48 and 52 bits. What a walk finds is kept for each
 * lowest table: a physical address, or the table. A walk has as many steps as there are levels, so
 * that a table that points at itself ends like any other.
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
  /** Bits 63 to 32 of an address that must be set: above what the tables translate. */
  readonly #mustBeSet: number;
  /** log2 of the bytes that a lowest table maps. */
  readonly #stretchShift: number;
  readonly #highMask: number;
  readonly #lowMask: number;
  /** The highest level, counted from the lowest, whose descriptors can map a block. */
  readonly #mostBlock: number;
  readonly #keep: boolean;
  readonly #stretches = new Stretches();
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
    // A kernel for 52 bits on a machine of 48 still indexes its top table with all its bits, if the
    // level is the same (PTRS_PER_PGD); hardware is given the address of the table's last entries.
    const bits = levelsOf(paging.addressBits, pageShift) === this.levels ? paging.addressBits : 0;
    this.#topBits = Math.max(bits, tableBits) - pageShift - this.#indexBits * (this.levels - 1);
    this.#mustBeSet = (-1 << (tableBits - 32)) >>> 0;
    this.#stretchShift = pageShift + this.#indexBits;
    this.lpa2 = pageShift < 16 && tableBits > 48;
    this.#highMask = this.lpa2 ? 0x3_ffff : 0xffff;
    this.#lowMask = -(2 ** pageShift) >>> 0;
    // 1 GiB, 32 MiB, 4 TiB; with LPA2 512 GiB, 64 GiB. Above, a descriptor that says so is not valid.
    this.#mostBlock = (pageShift === 14 ? 1 : 2) + (this.lpa2 ? 1 : 0);
    // A running kernel changes its tables.
    this.#keep = !image.facts.live;
  }

  /** Physical address, or -1 where nothing is mapped. */
  translate(high: number, low: number): number {
    const key = high * 2 ** (32 - this.#stretchShift) + (low >>> this.#stretchShift);
    if (key !== this.#lastKey || !this.#keep) {
      this.#last = this.#stretch(key, high, low);
      this.#lastKey = key;
    }
    const stretch = this.#last;
    if (typeof stretch === 'number')
      return stretch < 0 ? -1 : stretch + (low % 2 ** this.#stretchShift);
    this.#readEntry(stretch, this.#lowestIndex(low));
    if ((this.#entryLow & 3) !== TABLE_OR_PAGE) return -1;
    return this.#address() + (low % this.#pageBytes);
  }

  /** What the descriptor that maps an address allows, or undefined where none does. */
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
   * Physical addresses of the tables of the kernel's half, the top one first, each once.
   *
   * @throws {ReadError} when one that leads to others cannot be read
   */
  tables(): Generator<number> {
    return eachTable(this.root, this.levels, (table, left) => {
      const bits = left === this.levels - 1 ? this.#topBits : this.#indexBits;
      const entries = this.#table(table, bits);
      const below: number[] = [];
      for (let index = 0; index < 2 ** bits; index++) {
        this.#readEntry(entries, index);
        if ((this.#entryLow & 3) === TABLE_OR_PAGE) below.push(this.#address());
      }
      return below;
    });
  }

  /** Entries of processes (asm/pgtable-prot.h), whose tables translate as many bits as the kernel's. */
  get userEntries(): EntryFormat {
    return {
      pageShift: this.#pageShift,
      levels: this.levels,
      topEntries: 2 ** this.#topBits,
      kindOf: (low, high, left) => {
        const kind = low & 3;
        if (left > 0 && kind === TABLE_OR_PAGE) return ENTRY.table;
        const valid = left === 0 ? TABLE_OR_PAGE : BLOCK;
        const maps = kind === valid || isHidden(low, high, left);
        if (!maps || (left > 0 && left > this.#mostBlock)) return ENTRY.absent;
        return (high & SPECIAL) !== 0 ? ENTRY.special : ENTRY.page;
      },
      marksOf: (low, high) =>
        ((high & DIRTY) !== 0 || ((high & DIRTY_BIT_MODIFIER) !== 0 && (low & READ_ONLY) === 0)
          ? MARK.dirty
          : 0) | ((low & ACCESSED) !== 0 ? MARK.young : 0),
      // The bits have moved twice, and nothing tells where they are.
      swapTypeOf: () => -1,
      swapOffsetOf: () => 0,
      addressOf: (low, high) => {
        this.#entryLow = low;
        this.#entryHigh = high;
        return this.#address();
      },
    };
  }

  #stretch(key: number, high: number, low: number): number | DataView {
    if (!this.#keep) return this.#walk(high, low);
    return this.#stretches.get(key) ?? this.#stretches.keep(key, this.#walk(high, low));
  }

  /** Physical address of what a lowest table would map around an address, that table, or -1. */
  #walk(high: number, low: number): number | DataView {
    // Addresses of the kernel have all bits above the tables' reach set.
    if ((high & this.#mustBeSet) >>> 0 !== this.#mustBeSet) return -1;
    let table = this.root;
    for (let left = this.levels - 1; left > 0; left--) {
      const top = left === this.levels - 1;
      const shift = this.#pageShift + this.#indexBits * left;
      const index = bitsOf(high, low, shift, top ? this.#topBits : this.#indexBits);
      // The whole table: who keeps what was read must not leave one that has entries missing.
      this.#readEntry(this.#table(table, top ? this.#topBits : this.#indexBits), index);
      const kind = this.#entryLow & 3;
      if (kind === TABLE_OR_PAGE) {
        table = this.#address();
        continue;
      }
      if (kind !== BLOCK || left > this.#mostBlock) return -1;
      // Bits between the block's size and the page's are attributes or must be zero.
      const block = this.#address();
      const into = bitsOf(high, low, this.#stretchShift, shift - this.#stretchShift);
      return block - (block % 2 ** shift) + into * 2 ** this.#stretchShift;
    }
    return this.#table(table, this.levels === 1 ? this.#topBits : this.#indexBits);
  }

  /** Index of an address in its lowest table. */
  #lowestIndex(low: number): number {
    return (low % 2 ** this.#stretchShift) >>> this.#pageShift;
  }

  #readEntry(table: DataView, index: number): void {
    this.#entryLow = table.getUint32(index * 8, true);
    this.#entryHigh = table.getUint32(index * 8 + 4, true);
  }

  #table(physical: number, bits: number): DataView {
    return this.#image.readPhysical(physical, 2 ** bits * 8);
  }

  /** The address in the descriptor that was read. */
  #address(): number {
    const low = this.#entryLow;
    const address =
      (this.#entryHigh & this.#highMask) * 0x1_0000_0000 + ((low & this.#lowMask) >>> 0);
    if (this.lpa2) return address + ((low >>> 8) & 3) * 2 ** 50;
    // With 64 KiB pages, bits 51:48 are in bits 15:12 (FEAT_LPA), which are zero without it.
    if (this.#pageShift === 16) return address + ((low >>> 12) & 15) * 2 ** 48;
    return address;
  }
}

/**
 * Whether a descriptor that is not valid keeps a page that nobody may touch (PAGE_NONE in asm/pgtable-prot.h:
 * PROT_NONE, NUMA balancing). Which bit says so has moved, from PTE_PROT_NONE, bit 58, to nG (6.10); what else is
 * in it has not. On the lowest level bit 1 stays set, which no swap entry has. A block has it clear, as a
 * migration entry has: that has page frame numbers where a block has nG, PXN and UXN, and none so high.
 */
function isHidden(low: number, high: number, left: number): boolean {
  if (left === 0) return (low & 3) === 2;
  const closed = (low & NOT_GLOBAL) !== 0 && (high & NEVER_EXECUTE) === NEVER_EXECUTE;
  return (low & 3) === 0 && closed;
}

/** Levels of tables that translate so many bits of an address. */
export function levelsOf(bits: number, pageShift: number): number {
  return Math.ceil((bits - pageShift) / (pageShift - 3));
}

/** `count` bits (at most 32, or what is left of 64) of an address in halves, from bit `shift` on. */
function bitsOf(high: number, low: number, shift: number, count: number): number {
  if (shift >= 32) return (high >>> (shift - 32)) & (2 ** count - 1);
  return (((shift === 0 ? 0 : high << (32 - shift)) | (low >>> shift)) >>> 0) % 2 ** count;
}
