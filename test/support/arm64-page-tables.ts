import type { SparseMemory } from './page-tables.js';

/** The shape of a kernel's page tables, in the terms of the Arm manual. */
export interface Arm64Shape {
  /** Bytes of a page: the granule. */
  readonly page: 4096 | 16_384 | 65_536;
  /** Address bits that the tables translate (64 − T1SZ). */
  readonly bits: number;
  /** Address bits of the build; by default as many as are in use. */
  readonly built?: number;
}

/** Bytes that an entry maps on each level above the lowest: 1, 2, 3 … */
export function blockBytes({ page }: Arm64Shape, level: number): number {
  return page * (page / 8) ** level;
}

const VALID = 1n;
const TABLE = 2n;
/** Access flag, and inner shareable if those two bits are not part of an address. */
const ACCESSED = 1n << 10n;
const SHAREABLE = 3n << 8n;
const READ_ONLY = 1n << 7n;
const NOT_GLOBAL = 1n << 11n;
const DIRTY = 1n << 51n;
const PRIVILEGED_NO_EXECUTE = 1n << 53n;
/** Guarded page, contiguous, and software bits: must not be read as part of an address. */
const ATTRIBUTES = (1n << 50n) | (1n << 52n) | (0xfn << 55n);
/** Linux: a page that is not reference-counted (PTE_SPECIAL). */
const SPECIAL = 1n << 56n;
/** For a block: nT (FEAT_BBM). */
const NO_TRANSLATION = 1n << 16n;
/** For a table: ignored bits, and the limits for its entries (PXNTable and others). */
const TABLE_ATTRIBUTES = (0x1fn << 59n) | (0x7fn << 52n) | (3n << 10n) | (0x3fn << 2n);

/** Writes arm64 page tables (Arm ARM D8.3, VMSAv8-64 descriptors). */
export class Arm64TableWriter {
  readonly root: number;
  readonly #memory: SparseMemory;
  readonly #shape: Arm64Shape;
  readonly #levels: number;
  #next: number;

  /** @param root address of the top table; the others follow it page by page */
  constructor(memory: SparseMemory, root: number, shape: Arm64Shape) {
    this.#memory = memory;
    this.#shape = shape;
    this.root = root;
    this.#next = root + shape.page;
    // One level for each time that the bits above the page fill a table.
    let levels = 1;
    while (blockBytes(shape, levels) < 2 ** shape.bits) levels++;
    this.#levels = levels;
    this.#blank(root);
  }

  get levels(): number {
    return this.#levels;
  }

  /**
   * Maps the range of one entry on a level (0: a page); both addresses are aligned to it.
   *
   * @returns physical address of the entry
   */
  map(
    virtual: bigint,
    physical: bigint,
    level = 0,
    { writable = true, executable = false, dirty = false, special = true } = {},
  ): number {
    let table = this.root;
    for (let above = this.#levels - 1; above > level; above--) {
      const at = this.entryAt(table, virtual, above);
      const entry = this.#memory.read(at, 8).getBigUint64(0, true);
      if (entry & VALID) {
        table = Number(this.#decode(entry));
      } else {
        table = this.#next;
        this.#next += this.#shape.page;
        this.#blank(table);
        this.#memory.writeWord(at, this.#encode(BigInt(table)) | TABLE_ATTRIBUTES | VALID | TABLE);
      }
    }
    const flags =
      ACCESSED |
      NOT_GLOBAL |
      (special ? ATTRIBUTES : ATTRIBUTES & ~SPECIAL) |
      (this.wide ? 0n : SHAREABLE) |
      (writable ? 0n : READ_ONLY) |
      (dirty ? DIRTY : 0n) |
      (executable ? 0n : PRIVILEGED_NO_EXECUTE);
    const kind = level === 0 ? VALID | TABLE : VALID | NO_TRANSLATION;
    const entry = this.#encode(physical) | flags | kind;
    const at = this.entryAt(table, virtual, level);
    this.#memory.writeWord(at, entry);
    return at;
  }

  /** Physical address of the entry for an address in a table of that level (0: the lowest). */
  entryAt(table: number, virtual: bigint, level: number): number {
    const { page, bits, built = bits } = this.#shape;
    const span = BigInt(blockBytes(this.#shape, level));
    const top = level === this.#levels - 1;
    const sameLevels = blockBytes(this.#shape, this.#levels) >= 2 ** built;
    const most = top ? (1n << BigInt(sameLevels ? built : bits)) / span : BigInt(page / 8);
    return table + Number((virtual / span) % most) * 8;
  }

  /** LPA2: 52-bit addresses with pages of 4 and 16 KiB, whose tables then cover more than 48 bits. */
  get wide(): boolean {
    return this.#shape.page < 65_536 && this.#shape.bits > 48;
  }

  #encode(physical: bigint): bigint {
    if (this.wide) return (physical & ((1n << 50n) - 1n)) | ((physical >> 50n) << 8n);
    if (this.#shape.page === 65_536) return (physical & ((1n << 48n) - 1n)) | ((physical >> 48n) << 12n);
    return physical;
  }

  #decode(entry: bigint): bigint {
    const from = BigInt(Math.log2(this.#shape.page));
    const bits = (most: bigint): bigint => entry & ((1n << most) - 1n) & ~((1n << from) - 1n);
    if (this.wide) return bits(50n) | (((entry >> 8n) & 3n) << 50n);
    if (this.#shape.page === 65_536) return bits(48n) | (((entry >> 12n) & 15n) << 48n);
    return bits(48n);
  }

  #blank(table: number): void {
    for (let at = 0; at < this.#shape.page; at += 4096) this.#memory.page(table + at);
  }
}
