import { ReadError } from '../../../base/errors.js';
import { MARK } from '../../kernel.js';
import { joinHalves } from '../../pointer.js';
import type { MemoryImage } from '../image/image.js';
import { ENTRY, type EntryFormat, type Protection } from './arch.js';
import { eachTable, pageTableError, tableName } from './checked-walk.js';
import { type RegionSearch, WalkCache } from './section-table.js';

const PRESENT = 1;
const WRITABLE = 2;
const ACCESSED = 0x20;
const DIRTY = 0x40;
/** PS: the entry maps 2 MiB or 1 GiB itself. */
const LARGE = 0x80;
/** PROTNONE in a non-present entry, global in a present one. */
const PROTECTED = 0x100;
/** SOFTW1: the zero page, device memory. */
const SPECIAL = 0x200;
/** Upper half: dirty, but read-only, as a shadow stack would be (6.6). */
const SAVED_DIRTY = 1 << 26;
/** Upper half: not executable. */
const NO_EXECUTE = 0x8000_0000;

const GIB = 1n << 30n;

/** Maximum number of regions that a search through the upper levels visits. */
const MAX_REGIONS = 65_536;

/**
 * The page tables of x86_64 (Intel SDM volume 3, chapter 5; AMD APM volume 2, chapter 5). Results
 * are cached per 2 MiB: a physical address, or the lowest-level table. A walk takes one step per
 * level, so a table that points to itself cannot make it loop.
 */
export class X86PageTables {
  /** Physical address of the top table. */
  readonly root: number;
  readonly #image: MemoryImage;
  readonly #levels: 4 | 5;
  /** Bits 51 to 32 of an address in an entry's upper half, less the encryption bit. */
  readonly #highMask: number;
  /** Bits 31 to 12, less the encryption bit. */
  readonly #lowMask: number;
  readonly #isCacheable: boolean;
  readonly #walks = new WalkCache();
  #lastKey = -1;
  #last: number | DataView = -1;
  /** Halves of the entry that the last step of a walk read. */
  #entryLow = 0;
  #entryHigh = 0;

  constructor(image: MemoryImage, root: number, levels: 4 | 5, encryption: bigint) {
    this.#image = image;
    this.#levels = levels;
    this.#highMask = 0x000f_ffff & ~Number((encryption >> 32n) & 0xffff_ffffn);
    this.#lowMask = (0xffff_f000 & ~Number(encryption & 0xffff_ffffn)) >>> 0;
    this.root = this.#address(highOf(root), root % 0x1_0000_0000);
    // A running kernel changes its tables.
    this.#isCacheable = !image.facts.live;
  }

  /** Physical address, or -1 where nothing is mapped. */
  translate(high: number, low: number): number {
    const key = high * 2048 + (low >>> 21);
    if (key !== this.#lastKey || !this.#isCacheable) {
      this.#last = this.#lookUp(key, high, low);
      this.#lastKey = key;
    }
    const stretch = this.#last;
    if (typeof stretch === 'number') return stretch < 0 ? -1 : stretch + (low & 0x1f_ffff);
    const at = ((low >>> 12) & 511) * 8;
    const entry = stretch.getUint32(at, true);
    if ((entry & PRESENT) === 0) return -1;
    return this.#address(stretch.getUint32(at + 4, true), entry) + (low & 0xfff);
  }

  /** Returns the protection bits of the entry that maps an address; undefined if unmapped. */
  protection(high: number, low: number): Protection | undefined {
    const stretch = this.#walk(high, low);
    if (typeof stretch !== 'number') this.#readEntry(stretch, (low >>> 12) & 511);
    else if (stretch < 0) return undefined;
    if ((this.#entryLow & PRESENT) === 0) return undefined;
    return { writable: (this.#entryLow & WRITABLE) !== 0, executable: (this.#entryHigh & NO_EXECUTE) === 0 };
  }

  /**
   * Mapped addresses of the kernel's half at 1 GiB granularity, in order: possible starts of a
   * region such as the direct map; unreadable tables are skipped. Bounded.
   */
  *largeRegions(search: RegionSearch): Generator<bigint> {
    let entriesRead = 0;
    const top = this.#levels === 5 ? 16 : 7;
    for (const [high, table] of this.#present(this.root, top, 0xffff0000, search)) {
      const uppers: Iterable<readonly [number, number]> =
        this.#levels === 5 ? this.#present(table, 7, high, search) : [[high, table]];
      for (const [base, pointers] of uppers) {
        const entries = this.#tableOrNot(pointers, joinHalves(base, 0), search);
        for (let index = 0; entries !== undefined && index < 512; index++) {
          if (++entriesRead > MAX_REGIONS) return;
          this.#readEntry(entries, index);
          if ((this.#entryLow & PRESENT) !== 0) yield joinHalves(base, 0) + BigInt(index) * GIB;
        }
      }
    }
  }

  /**
   * Physical addresses of the kernel's page tables, the top one first, each once.
   *
   * @throws {ReadError} when an upper-level table cannot be read
   */
  tables(): Generator<number> {
    return eachTable(this.root, this.#levels, (table, levelsBelow) => {
      const entries = this.#table(table);
      const below: number[] = [];
      for (let index = levelsBelow === this.#levels - 1 ? 256 : 0; index < 512; index++) {
        this.#readEntry(entries, index);
        if ((this.#entryLow & PRESENT) === 0 || (this.#entryLow & LARGE) !== 0) continue;
        below.push(this.#address(this.#entryHigh, this.#entryLow));
      }
      return below;
    });
  }

  /**
   * Entry format of processes (asm/pgtable_64.h): an inaccessible page (PROT_NONE, and NUMA
   * balancing) is not present for the hardware, and its address is inverted (asm/pgtable-invert.h).
   */
  get userEntries(): EntryFormat {
    return {
      pageShift: 12,
      levels: this.#levels,
      topEntries: 256,
      kindOf: (low, _high, levelsBelow) => {
        const present = (low & (PRESENT | PROTECTED)) !== 0;
        if (levelsBelow === 0) {
          if (!present) return ENTRY.absent;
          return (low & SPECIAL) !== 0 ? ENTRY.special : ENTRY.page;
        }
        // An entry that is being split is temporarily not present (pmd_present).
        const large = (low & LARGE) !== 0 && levelsBelow <= 2;
        if (!large) return (low & PRESENT) !== 0 ? ENTRY.table : ENTRY.absent;
        return (low & SPECIAL) !== 0 ? ENTRY.special : ENTRY.page;
      },
      addressOf: (low, high) => ((low & PRESENT) !== 0 ? this.#address(high, low) : this.#address(~high, ~low)),
      marksOf: (low, high) =>
        ((low & DIRTY) !== 0 || (high & SAVED_DIRTY) !== 0 ? MARK.dirty : 0) |
        ((low & ACCESSED) !== 0 ? MARK.young : 0),
      // Bits 63 to 59, and 58 to 9 inverted (L1TF, asm/pgtable_64.h).
      swapTypeOf: (_low, high) => high >>> 27,
      swapOffsetOf: (low, high) => (~high & 0x07ff_ffff) * 2 ** 23 + (~low >>> 9),
    };
  }

  /** Present entries of an upper-level table: the address half at which each begins, and its table. */
  *#present(table: number, shift: number, base: number, search: RegionSearch): Generator<readonly [number, number]> {
    const top = table === this.root;
    const entries = this.#tableOrNot(table, joinHalves(base, 0), search);
    for (let index = top ? 256 : 0; entries !== undefined && index < 512; index++) {
      this.#readEntry(entries, index);
      if ((this.#entryLow & PRESENT) === 0 || (this.#entryLow & LARGE) !== 0) continue;
      const next = this.#address(this.#entryHigh, this.#entryLow);
      const sign = top ? (shift === 16 ? 0xfe00_0000 : 0xffff_0000) : base;
      yield [(sign | (index << shift)) >>> 0, next];
    }
  }

  #lookUp(key: number, high: number, low: number): number | DataView {
    if (!this.#isCacheable) return this.#walk(high, low);
    return this.#walks.get(key) ?? this.#walks.cache(key, this.#walk(high, low));
  }

  /** Returns the physical address of the 2 MiB around an address, its lowest-level table, or -1. */
  #walk(high: number, low: number): number | DataView {
    // Kernel addresses have all bits above the translated ones set.
    if (this.#levels === 5 ? high >>> 24 !== 0xff : high >>> 15 !== 0x1ffff) return -1;
    let table = this.root;
    if (this.#levels === 5) {
      table = this.#next(table, (high >>> 16) & 511);
      if (table < 0) return -1;
    }
    table = this.#next(table, (high >>> 7) & 511);
    if (table < 0) return -1;
    const gib = this.#next(table, ((high & 0x7f) << 2) | (low >>> 30));
    if (gib < 0) return -1;
    // Bits between the page's size and bit 12 are attributes (PAT) or must be zero.
    if ((this.#entryLow & LARGE) !== 0) return gib - (gib % 0x4000_0000) + (low & 0x3fe0_0000);
    const mib = this.#next(gib, (low >>> 21) & 511);
    if (mib < 0) return -1;
    if ((this.#entryLow & LARGE) !== 0) return mib - (mib % 0x20_0000);
    return this.#table(mib);
  }

  /**
   * Returns the address in an entry of a table, or -1 if it is not present. Reads the whole table:
   * a recording of reads must not contain a partial table.
   */
  #next(table: number, index: number): number {
    this.#readEntry(this.#table(table), index);
    if ((this.#entryLow & PRESENT) === 0) return -1;
    return this.#address(this.#entryHigh, this.#entryLow);
  }

  #readEntry(table: DataView, index: number): void {
    this.#entryLow = table.getUint32(index * 8, true);
    this.#entryHigh = table.getUint32(index * 8 + 4, true);
  }

  #table(physical: number): DataView {
    return this.#image.readPhysical(physical, 4096);
  }

  /**
   * Returns the table that maps addresses from `address` on; undefined, with the failure recorded,
   * if it cannot be read.
   */
  #tableOrNot(physical: number, address: bigint, search: RegionSearch): DataView | undefined {
    try {
      return this.#table(physical);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      search.addMiss(tableName(error), pageTableError(error, address));
      return undefined;
    }
  }

  #address(high: number, low: number): number {
    return (high & this.#highMask) * 0x1_0000_0000 + ((low & this.#lowMask) >>> 0);
  }
}

function highOf(address: number): number {
  return Math.floor(address / 0x1_0000_0000);
}
