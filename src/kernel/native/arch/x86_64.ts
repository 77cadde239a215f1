import { KernelError } from '../../../base/errors.js';
import { hex } from '../../../base/util.js';
import type { PageArray } from '../../page-map.js';
import { highHalf, lowHalf } from '../../pointer.js';
import type { MemoryImage } from '../image/image.js';
import type { Vmcoreinfo } from '../vmcoreinfo.js';
import {
  type Architecture,
  type Bases,
  type EarlyKernel,
  type EntryFormat,
  LinearRange,
  type Protection,
  type RegionResult,
} from './arch.js';
import { type Anchor, agrees, checkAnchor, memoryEnd, type Walk, walkOrNot } from './checked-walk.js';
import { pagesOfSection, RegionSearch, readVariable } from './section-table.js';
import { X86PageTables } from './x86_64-page-tables.js';

/** `__START_KERNEL_map`: the image's link address, to which KASLR adds an offset (asm/page_64_types.h). */
const START_KERNEL_MAP = 0xffffffff80000000n;
const KERNEL_IMAGE_SIZE = 1n << 30n;
const PAGE_SIZE = 4096;
const MIB2 = 1n << 21n;

/** Default bases without KASLR (Documentation/arch/x86/x86_64/mm.rst). */
const DEFAULTS = {
  4: { directMap: 0xffff888000000000n, pages: 0xffffea0000000000n, most: 2 ** 46 },
  5: { directMap: 0xff11000000000000n, pages: 0xffd4000000000000n, most: 2 ** 52 },
} as const;

/**
 * x86_64: the kernel image at `__START_KERNEL_map`, page tables of 4 or 5 levels, a direct map and a
 * vmemmap whose bases KASLR randomizes.
 */
export class X86_64 implements Architecture {
  readonly name = 'x86_64';
  readonly machine = 'x86_64';
  readonly pageSize = PAGE_SIZE;
  readonly paging: string;
  readonly imageRange: { readonly start: bigint; readonly end: bigint };
  readonly #image: MemoryImage;
  readonly #info: Vmcoreinfo;
  readonly #tables: X86PageTables;
  readonly #levels: 4 | 5;
  readonly #anchor: Anchor;
  readonly #walk: Walk = (high, low) => this.translate(high, low);

  /**
   * @throws {KernelError} `unsupported-layout` when VMCOREINFO lacks required values, `damaged`
   * when the page tables contradict it.
   */
  constructor(image: MemoryImage, info: Vmcoreinfo) {
    this.#image = image;
    this.#info = info;
    this.#levels = info.number('pgtable_l5_enabled') === 1n ? 5 : 4;
    this.paging = `${this.#levels}-level page tables`;

    const root = info.symbol('init_top_pgt') ?? info.symbol('swapper_pg_dir');
    if (root === undefined) throw new KernelError('unsupported-layout', 'VMCOREINFO: no swapper_pg_dir');
    const anchor = info.symbol('_stext') ?? root;
    const physBase = physicalBase(image, info, anchor);
    const physical = (address: bigint): number => Number(address - START_KERNEL_MAP + physBase);
    this.#anchor = { virtual: anchor, physical: physical(anchor) };
    // NUMBER(sme_mask): the bit that marks encrypted memory in page table entries (since 5.2).
    const encryption = info.number('sme_mask') ?? 0n;
    this.#tables = new X86PageTables(image, physical(root), this.#levels, encryption);

    const start = anchor - (anchor % MIB2);
    this.imageRange = { start, end: START_KERNEL_MAP + KERNEL_IMAGE_SIZE };
    checkAnchor(this.#walk, this.#anchor);
  }

  translate(high: number, low: number): number {
    return this.#tables.translate(high, low);
  }

  tables(): Generator<number> {
    return this.#tables.tables();
  }

  get userEntries(): EntryFormat {
    return this.#tables.userEntries;
  }

  protection(address: bigint): Protection | undefined {
    return this.#tables.protection(highHalf(address), lowHalf(address));
  }

  settle(kernel: EarlyKernel): Bases {
    return { directMap: this.#findDirectMap(kernel), pages: this.#findPages(kernel) };
  }

  #findDirectMap(kernel: EarlyKernel): RegionResult<LinearRange> {
    const search = new RegionSearch('direct map');
    const end = memoryEnd(kernel, this.#image, PAGE_SIZE, DEFAULTS[this.#levels].most);
    const length = Math.max(end, PAGE_SIZE);
    const range = (address: bigint): LinearRange => new LinearRange(address, length, 0);

    const variable = readVariable(kernel, 'page_offset_base', search);
    if (variable !== undefined) {
      // The kernel's own variable, provided that page tables do not contradict it.
      if (this.#mapsDirectly(variable, length, search)) return { found: range(variable), from: 'page_offset_base' };
      const why = `page_offset_base is ${hex(variable)}, but the page tables disagree`;
      return search.notFound(why);
    }
    const usual = DEFAULTS[this.#levels].directMap;
    if (this.#mapsDirectly(usual, length, search))
      return { found: range(usual), from: 'default base, verified in the page tables' };
    for (const candidate of this.#tables.largeRegions(search)) {
      if (this.#mapsDirectly(candidate, length, search)) return { found: range(candidate), from: 'page tables' };
    }
    return search.notFound('no variable or page table leads to it');
  }

  /** Whether page tables translate `base` + p to p: for two addresses in the image, and for the last page. */
  #mapsDirectly(base: bigint, length: number, search: RegionSearch): boolean {
    if (base % MIB2 !== 0n || base < 1n << 63n) return false;
    const probes = [this.#anchor.physical, this.#tables.root, length - PAGE_SIZE];
    return agrees(
      this.#walk,
      probes.map((physical) => ({ virtual: base + BigInt(physical), physical })),
      search,
    );
  }

  #findPages(kernel: EarlyKernel): RegionResult<PageArray> {
    const search = new RegionSearch('struct pages');
    const stride = this.#info.size('page');
    if (stride === undefined || stride < 32 || stride > 1024)
      return search.contradicted('VMCOREINFO has no SIZE(page)');
    const frame = BigInt(Math.floor(this.#anchor.physical / PAGE_SIZE));
    const mapped = (base: bigint): boolean =>
      base >= 1n << 63n && walkOrNot(this.#walk, base + frame * BigInt(stride), search) >= 0;

    const variable = readVariable(kernel, 'vmemmap_base', search);
    const section = pagesOfSection(kernel, this.#info, PAGE_SIZE, Number(frame), search);
    const known = [
      { base: variable, from: 'vmemmap_base' },
      { base: section, from: 'mem_section' },
    ].filter(({ base }) => base !== undefined) as { base: bigint; from: string }[];
    if (variable !== undefined && section !== undefined && variable !== section) {
      const problem = `vmemmap_base is ${hex(variable)}, but mem_section gives ${hex(section)}`;
      return search.contradicted(problem);
    }
    const mappings = known.filter(({ base }) => mapped(base));
    if (mappings[0] !== undefined) {
      const from = mappings.map((match) => match.from).join(' and ');
      return { found: { address: mappings[0].base, stride }, from };
    }
    if (known.length > 0) return search.notFound(`${known[0]!.from} leads to unmapped memory`);
    const usual = DEFAULTS[this.#levels].pages;
    if (mapped(usual)) return { found: { address: usual, stride }, from: 'default base, verified in the page tables' };
    return search.notFound('no variable or page table leads to it');
  }
}

/** `phys_base`: offset from link-time to physical addresses; in VMCOREINFO since 4.10. */
function physicalBase(image: MemoryImage, info: Vmcoreinfo, anchor: bigint): bigint {
  const number = info.number('phys_base');
  if (number !== undefined) return number;
  for (const { address, length, physical } of image.virtualRanges) {
    if (physical !== undefined && anchor >= address && anchor < address + BigInt(length))
      return BigInt(physical) + START_KERNEL_MAP - address;
  }
  throw new KernelError('unsupported-layout', 'VMCOREINFO: no phys_base');
}
