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
import { Arm64PageTables } from './arm64-page-tables.js';
import { type Anchor, agrees, checkAnchor, memoryEnd, type Walk, walkOrNot } from './checked-walk.js';
import { pagesOfSection, RegionSearch } from './section-table.js';

const PAGE_SIZES: ReadonlySet<number> = new Set([4096, 16_384, 65_536]);
/** Kernel addresses have at least 36 bits (16 KiB pages, two levels) and at most 52. */
const MIN_BITS = 36n;
const MAX_BITS = 52n;
/** The image's offset from its link address is a multiple of this (arm64's booting.rst: 2 MiB, relocatable 64 KiB). */
const IMAGE_ALIGNMENT = 1n << 16n;
/** Upper bound on the size of the kernel image. */
const IMAGE_BYTES = 1n << 28n;
const MAX_PHYSICAL = 2 ** 52;
/** Bit 55, in the upper half: selects the kernel's half of the address space, whatever the higher bits are. */
const KERNEL_HALF = 1 << 23;

/**
 * arm64: three mappings that VMCOREINFO describes (arch/arm64/kernel/vmcore_info.c, before 6.9
 * crash_core.c) — the image, at `kimage_voffset` from its physical address; the linear map, at
 * `PHYS_OFFSET`; all else by page tables.
 */
export class Arm64 implements Architecture {
  readonly name = 'arm64';
  readonly machine = 'aarch64';
  readonly pageSize: number;
  readonly paging: string;
  readonly imageRange: { readonly start: bigint; readonly end: bigint };
  readonly #image: MemoryImage;
  readonly #info: Vmcoreinfo;
  readonly #tables: Arm64PageTables;
  readonly #addressBits: bigint;
  readonly #tableBits: bigint;
  /** Bits of an address' upper half that pointer authentication may change. */
  readonly #signature: number;
  readonly #anchor: Anchor;
  readonly #walk: Walk = (high, low) => this.translate(high, low);

  /**
   * @throws {KernelError} `unsupported-layout` when VMCOREINFO lacks required values or they are
   * impossible, `damaged` when the page tables contradict it.
   */
  constructor(image: MemoryImage, info: Vmcoreinfo) {
    this.#image = image;
    this.#info = info;
    const pageSize = info.pageSize;
    if (pageSize === undefined || !PAGE_SIZES.has(pageSize)) throw lacking(info, 'PAGESIZE');
    this.pageSize = pageSize;
    const pageShift = Math.log2(pageSize);
    this.#addressBits = bitsIn(info, 'VA_BITS', info.number('VA_BITS'));
    // Since 5.9. Without it, the kernel's build-time address size applies.
    const t1sz = info.number('TCR_EL1_T1SZ');
    const tableBits = t1sz === undefined ? this.#addressBits : bitsIn(info, 'TCR_EL1_T1SZ', 64n - t1sz);
    this.#tableBits = tableBits;
    // Translated address bits never contain a signature, whatever VMCOREINFO states.
    const translated = (1n << tableBits) - 1n;
    this.#signature = highHalf((info.number('KERNELPACMASK') ?? 0n) & ~translated);

    const root = info.symbol('swapper_pg_dir');
    const offset = info.number('kimage_voffset');
    if (root === undefined) throw lacking(info, 'swapper_pg_dir');
    if (offset === undefined) throw lacking(info, 'kimage_voffset');
    const physical = (address: bigint): number => Number(BigInt.asUintN(64, address - offset));
    const anchor = info.symbol('_stext') ?? root;
    for (const address of [root, anchor]) if (physical(address) >= MAX_PHYSICAL) throw lacking(info, 'kimage_voffset');
    this.#anchor = { virtual: anchor, physical: physical(anchor) };
    this.#tables = new Arm64PageTables(image, physical(root), {
      pageShift,
      tableBits: Number(tableBits),
      addressBits: Number(this.#addressBits),
    });
    const wide = this.#tables.lpa2 ? ', 52-bit addresses' : '';
    this.paging = `${this.#tables.levels}-level page tables, pages of ${pageSize / 1024} KiB${wide}`;

    const start = anchor - (anchor % IMAGE_ALIGNMENT);
    this.imageRange = { start, end: start + IMAGE_BYTES };
    checkAnchor(this.#walk, this.#anchor);
  }

  translate(high: number, low: number): number {
    return this.#tables.translate(this.#unsigned(high), low);
  }

  tables(): Generator<number> {
    return this.#tables.tables();
  }

  get userEntries(): EntryFormat {
    return this.#tables.userEntries;
  }

  protection(address: bigint): Protection | undefined {
    return this.#tables.protection(this.#unsigned(highHalf(address)), lowHalf(address));
  }

  settle(kernel: EarlyKernel): Bases {
    const directMap = this.#findDirectMap(kernel);
    return { directMap, pages: this.#findPages(kernel, directMap.found !== undefined) };
  }

  /** Returns the upper half of an address without its pointer authentication code. */
  #unsigned(high: number): number {
    return (high & KERNEL_HALF) === 0 ? high : (high | this.#signature) >>> 0;
  }

  /**
   * Finds the linear map: physical = virtual − its start + PHYS_OFFSET, modulo 2^64. PHYS_OFFSET is
   * negative where a kernel for 52 bits runs on a 48-bit machine. The linear map is in the lower
   * half of the kernel's addresses since 5.4, in the upper half before.
   */
  #findDirectMap(kernel: EarlyKernel): RegionResult<LinearRange> {
    const search = new RegionSearch('direct map');
    const offset = this.#info.number('PHYS_OFFSET');
    if (offset === undefined) return search.contradicted('VMCOREINFO has no PHYS_OFFSET');
    const signed = BigInt.asIntN(64, offset);
    const first = signed < 0n ? 0n : signed;
    const end = memoryEnd(kernel, this.#image, this.pageSize, MAX_PHYSICAL);
    if (first >= BigInt(MAX_PHYSICAL) || end - Number(first) < this.pageSize)
      return search.contradicted('PHYS_OFFSET is beyond the end of memory');
    for (const bits of [this.#addressBits, this.#addressBits - 1n]) {
      const start = BigInt.asUintN(64, first - signed - (1n << bits));
      // No memory is mapped below the translated range, even if masking the signature bits hides that.
      const lowest = (1n << 64n) - (1n << this.#tableBits);
      const below = start < lowest ? lowest - start : 0n;
      const physical = first + below;
      const limit = (1n << (bits - (bits === this.#addressBits ? 1n : 0n))) - below;
      const length = Math.min(end - Number(physical), Number(limit));
      if (length < this.pageSize) continue;
      const range = new LinearRange(start + below, length, Number(physical));
      if (this.#mapsDirectly(range, search)) return { found: range, from: 'PHYS_OFFSET, verified in the page tables' };
    }
    return search.notFound('the page tables contradict PHYS_OFFSET');
  }

  /** Whether page tables agree with a linear range: at two addresses of the image, and at its last page. */
  #mapsDirectly(range: LinearRange, search: RegionSearch): boolean {
    const last = range.length - (range.length % this.pageSize || this.pageSize);
    const probes = [this.#anchor.physical, this.#tables.root, range.physical + last];
    const places = probes
      .filter((physical) => physical >= range.physical && physical < range.physical + range.length)
      .map((physical) => ({ virtual: range.address + BigInt(physical - range.physical), physical }));
    return agrees(this.#walk, places, search);
  }

  /**
   * Finds the array of `struct page`: from the `vmemmap` variable, VMEMMAP_START less the pages
   * below PHYS_OFFSET (asm/pgtable.h), or the memory sections. The known ones must agree. A
   * PHYS_OFFSET that page tables contradict is not used.
   */
  #findPages(kernel: EarlyKernel, offsetSound: boolean): RegionResult<PageArray> {
    const search = new RegionSearch('struct pages');
    const info = this.#info;
    const stride = info.size('page');
    if (stride === undefined || stride < 32 || stride > 1024 || stride % 8 !== 0)
      return search.contradicted('VMCOREINFO has no SIZE(page)');
    const frame = Math.floor(this.#anchor.physical / this.pageSize);
    const start = info.number('VMEMMAP_START');
    const offset = offsetSound ? info.number('PHYS_OFFSET') : undefined;
    const candidates = [
      { address: info.symbol('vmemmap'), from: 'vmemmap' },
      {
        address:
          start === undefined || start % BigInt(this.pageSize) !== 0n || offset === undefined
            ? undefined
            : BigInt.asUintN(64, start - (BigInt.asIntN(64, offset) / BigInt(this.pageSize)) * BigInt(stride)),
        from: 'VMEMMAP_START',
      },
      { address: pagesOfSection(kernel, info, this.pageSize, frame, search), from: 'mem_section' },
    ];
    const known = candidates.filter(
      (candidate): candidate is { address: bigint; from: string } => candidate.address !== undefined,
    );
    const first = known[0];
    if (first === undefined) return search.notFound('VMCOREINFO has no usable VMEMMAP_START and PHYS_OFFSET');
    const conflicting = known.find(({ address }) => address !== first.address);
    if (conflicting !== undefined) {
      const describe = ({ address, from }: typeof first): string => `${from} ${hex(address)}`;
      return search.contradicted(`${describe(first)}, but ${describe(conflicting)}`);
    }
    const from = known.map((candidate) => candidate.from).join(' and ');
    if (first.address % 8n !== 0n) return search.contradicted(`${from} is ${hex(first.address)}`);
    const page = BigInt.asUintN(64, first.address + BigInt(frame * stride));
    if (walkOrNot(this.#walk, page, search) < 0) return search.notFound(`${from} leads to unmapped memory`);
    return { found: { address: first.address, stride }, from };
  }
}

function bitsIn(info: Vmcoreinfo, name: string, bits: bigint | undefined): bigint {
  if (bits === undefined || bits < MIN_BITS || bits > MAX_BITS) throw lacking(info, name);
  return bits;
}

function lacking(info: Vmcoreinfo, name: string): KernelError {
  const keys = [name, `NUMBER(${name})`, `SYMBOL(${name})`];
  const text = keys.map((key) => info.entries.get(key)).find((value) => value !== undefined);
  const problem = text === undefined ? `no ${name}` : `${name}=${JSON.stringify(text.slice(0, 40))}`;
  return new KernelError('unsupported-layout', `VMCOREINFO: ${problem}, which arm64 requires`);
}
