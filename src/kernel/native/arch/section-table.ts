import type { Vmcoreinfo } from '../vmcoreinfo.js';

/** What reads a pointer: `what` is what errors call it. Undefined where it is not to be had. */
type ReadPointer = (what: string, address: bigint) => bigint | undefined;

/** Flags in the low bits of `mem_section.section_mem_map`: at most 6 (linux/mmzone.h). */
const FLAGS = 63n;
/** It is there, has an array of `struct page`; and the kernel uses its memory (SECTION_IS_ONLINE, 4.13). */
const PRESENT = 3n;
const ONLINE = 4n;

/** Sections have 2^27 to 2^30 bytes (asm/sparsemem.h). */
const [LEAST_BITS, MOST_BITS] = [24n, 40n];

/** Sections of memory, of the sparse memory model: a table of tables of `struct mem_section`. */
export class SectionTable {
  /** Page frames of a section. */
  readonly frames: number;
  readonly #table: bigint;
  readonly #roots: number;
  readonly #perRoot: number;
  readonly #size: number;
  readonly #member: number;

  private constructor(
    of: Readonly<Record<'frames' | 'roots' | 'perRoot' | 'size' | 'member', number>>,
    table: bigint,
  ) {
    this.frames = of.frames;
    this.#table = table;
    this.#roots = of.roots;
    this.#perRoot = of.perRoot;
    this.#size = of.size;
    this.#member = of.member;
  }

  /** Undefined where VMCOREINFO does not tell of them. */
  static of(info: Vmcoreinfo, pageSize: number): SectionTable | undefined {
    const size = info.size('mem_section');
    const member = info.offset('mem_section.section_mem_map');
    const bits = info.number('SECTION_SIZE_BITS');
    const roots = info.length('mem_section');
    const table = info.symbol('mem_section');
    if (!size || member === undefined || !bits || !table || !roots) return undefined;
    if (bits < LEAST_BITS || bits > MOST_BITS) return undefined;
    const perRoot = Math.floor(pageSize / size);
    if (perRoot === 0) return undefined;
    const frames = 2 ** Number(bits) / pageSize;
    return new SectionTable({ frames, roots, perRoot, size, member }, table);
  }

  /**
   * Base of the array of `struct page` as a frame's section has it (sparse_encode_mem_map in
   * mm/sparse.c); undefined where the section has none, or cannot be read.
   */
  pagesOf(frame: number, read: ReadPointer): bigint | undefined {
    const map = this.#mapOf(frame, read);
    return map !== undefined && (map & PRESENT) === PRESENT ? map & ~FLAGS : undefined;
  }

  /** Whether the kernel uses the memory of a frame's section. */
  isOnline(frame: number, read: ReadPointer): boolean {
    return ((this.#mapOf(frame, read) ?? 0n) & ONLINE) !== 0n;
  }

  /** `section_mem_map` of a frame's section; undefined where there is none such. */
  #mapOf(frame: number, read: ReadPointer): bigint | undefined {
    const section = Math.floor(frame / this.frames);
    const root = Math.floor(section / this.#perRoot);
    if (root >= this.#roots) return undefined;
    const sections = read('mem_section', this.#table + BigInt(root * 8));
    // Sections of machines as large as this have no table of their own while none of them is there.
    if (sections === undefined || sections === 0n) return undefined;
    const at = sections + BigInt((section % this.#perRoot) * this.#size + this.#member);
    return read('struct mem_section', at);
  }
}
