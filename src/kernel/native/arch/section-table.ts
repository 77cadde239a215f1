import { KernelError, ReadError } from '../../../base/errors.js';
import type { Vmcoreinfo } from '../vmcoreinfo.js';
import type { EarlyKernel, RegionResult } from './arch.js';

/** Reads a pointer; `what` names it in errors. Undefined if it cannot be read. */
type ReadPointer = (what: string, address: bigint) => bigint | undefined;

/** Flags in the low bits of `mem_section.section_mem_map`: at most 6 (linux/mmzone.h). */
const FLAGS = 63n;
/** Flags: present, has an array of `struct page`; and online (SECTION_IS_ONLINE, 4.13). */
const PRESENT = 3n;
const ONLINE = 4n;

/** Sections have 2^27 to 2^30 bytes (asm/sparsemem.h). */
const [MIN_BITS, MAX_BITS] = [24n, 40n];

/** Sections of the sparse memory model: a two-level table of `struct mem_section`. */
export class SectionTable {
  /** Page frames per section. */
  readonly frames: number;
  readonly #table: bigint;
  readonly #roots: number;
  readonly #perRoot: number;
  readonly #size: number;
  readonly #member: number;

  private constructor(of: Readonly<Record<'frames' | 'roots' | 'perRoot' | 'size' | 'member', number>>, table: bigint) {
    this.frames = of.frames;
    this.#table = table;
    this.#roots = of.roots;
    this.#perRoot = of.perRoot;
    this.#size = of.size;
    this.#member = of.member;
  }

  /** Undefined if VMCOREINFO does not describe the sections. */
  static of(info: Vmcoreinfo, pageSize: number): SectionTable | undefined {
    const size = info.size('mem_section');
    const member = info.offset('mem_section.section_mem_map');
    const bits = info.number('SECTION_SIZE_BITS');
    const roots = info.length('mem_section');
    const table = info.symbol('mem_section');
    if (!size || member === undefined || !bits || !table || !roots) return undefined;
    if (bits < MIN_BITS || bits > MAX_BITS) return undefined;
    const perRoot = Math.floor(pageSize / size);
    if (perRoot === 0) return undefined;
    const frames = 2 ** Number(bits) / pageSize;
    return new SectionTable({ frames, roots, perRoot, size, member }, table);
  }

  /**
   * Base of the array of `struct page` according to a frame's section (sparse_encode_mem_map in
   * mm/sparse.c); undefined if the section has none or cannot be read.
   */
  pagesOf(frame: number, read: ReadPointer): bigint | undefined {
    const map = this.#mapOf(frame, read);
    return map !== undefined && (map & PRESENT) === PRESENT ? map & ~FLAGS : undefined;
  }

  isOnline(frame: number, read: ReadPointer): boolean {
    return ((this.#mapOf(frame, read) ?? 0n) & ONLINE) !== 0n;
  }

  /** Address of a frame's `struct mem_section`; undefined if there is no such section. */
  sectionOf(frame: number, read: ReadPointer): bigint | undefined {
    const section = Math.floor(frame / this.frames);
    const root = Math.floor(section / this.#perRoot);
    if (root >= this.#roots) return undefined;
    const sections = read('mem_section', this.#table + BigInt(root * 8));
    // On very large machines, a root without present sections has no table.
    if (sections === undefined || sections === 0n) return undefined;
    return sections + BigInt((section % this.#perRoot) * this.#size);
  }

  #mapOf(frame: number, read: ReadPointer): bigint | undefined {
    const at = this.sectionOf(frame, read);
    return at === undefined ? undefined : read('struct mem_section', at + BigInt(this.#member));
  }
}

/** Reads a 64-bit kernel variable; undefined if it has no symbol or cannot be read. */
export function readVariable(kernel: EarlyKernel, name: string, search: RegionSearch): bigint | undefined {
  const address = kernel.symbol(name);
  return address === undefined ? undefined : readWord(kernel, name, address, search);
}

function readWord(kernel: EarlyKernel, name: string, address: bigint, search: RegionSearch): bigint | undefined {
  return search.try(name, () => kernel.read(BigInt.asUintN(64, address), 8).getBigUint64(0, true));
}

/**
 * Base of the array of `struct page` from the section of a page frame. Undefined if it cannot be read.
 *
 * @param frame an existing page frame
 */
export function pagesOfSection(
  kernel: EarlyKernel,
  info: Vmcoreinfo,
  pageSize: number,
  frame: number,
  search: RegionSearch,
): bigint | undefined {
  return SectionTable.of(info, pageSize)?.pagesOf(frame, (what, address) => readWord(kernel, what, address, search));
}

/** Maximum number of read failures in the error message. */
const MAX_REPORTED = 2;

/**
 * A search for a region of the kernel's address space. A read failure is no error if another source
 * locates the region; otherwise it is the reported cause.
 */
export class RegionSearch {
  readonly #region: string;
  readonly #misses = new Map<string, ReadError>();

  /** @param region description of the region: `struct pages` */
  constructor(region: string) {
    this.#region = region;
  }

  /** Runs a step that reads; returns undefined and records the failure under this name if a read fails. */
  try<T>(name: string, step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      this.addMiss(name, error);
      return undefined;
    }
  }

  addMiss(name: string, error: ReadError): void {
    if (this.#misses.size < MAX_REPORTED && !this.#misses.has(name)) this.#misses.set(name, error);
  }

  /** The region was not found: reports the read failures, or if there are none, `why`. */
  notFound(why: string): RegionResult<never> {
    const [first] = this.#misses.values();
    if (first === undefined) return this.contradicted(why);
    const names = [...this.#misses.keys()].join(' and ');
    const detail = `${names}, needed to find the ${this.#region}`;
    const error = new ReadError(first.code, first.address, detail, { cause: first });
    return { found: undefined, error };
  }

  /** The region was not found because the available data rules it out, regardless of read failures. */
  contradicted(why: string): RegionResult<never> {
    const message = `${this.#region} not found: ${why}`;
    return { found: undefined, error: new KernelError('damaged', message) };
  }
}

/** Maximum number of cached regions. */
const MAX_ENTRIES = 65_536;
/** Maximum bytes of cached lowest-level tables. */
const MAX_TABLE_BYTES = 4 << 20;

/**
 * Cache of page table walks, by the address range that a lowest-level table maps: a physical
 * address, the table, or -1. Bounded: it is cleared when full.
 */
export class WalkCache {
  readonly #entries = new Map<number, number | DataView>();
  #tableBytes = 0;

  get(key: number): number | DataView | undefined {
    return this.#entries.get(key);
  }

  /** Copies a table: the image's view would keep an entire cache block alive. */
  cache(key: number, section: number | DataView): number | DataView {
    if (this.#entries.size >= MAX_ENTRIES || this.#tableBytes >= MAX_TABLE_BYTES) {
      this.#entries.clear();
      this.#tableBytes = 0;
    }
    let cached = section;
    if (typeof section !== 'number') {
      const { buffer, byteOffset, byteLength } = section;
      cached = new DataView(buffer.slice(byteOffset, byteOffset + byteLength));
      this.#tableBytes += byteLength;
    }
    this.#entries.set(key, cached);
    return cached;
  }
}
