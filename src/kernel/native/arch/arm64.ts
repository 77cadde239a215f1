import { KernelError } from '../../../base/errors/kernel.js';
import { hex } from '../../../base/hex.js';
import { highHalf, lowHalf } from '../../halves.js';
import type { PageArray } from '../../page-map.js';
import { LinearRange } from '../address.js';
import type { MemoryImage } from '../image/image.js';
import type { Vmcoreinfo } from '../vmcoreinfo.js';
import type { Architecture, Bases, EarlyKernel, Protection, Sought } from './arch.js';
import { Arm64PageTables } from './arm64-page-tables.js';
import {
  type Anchor,
  agrees,
  checkAnchor,
  memoryEnd,
  type Walk,
  walkOrNot,
} from './checked-walk.js';
import { RegionSearch } from './region-search.js';
import type { EntryFormat } from './user-tables.js';
import { pagesOfSection } from './variables.js';

const PAGE_SIZES: ReadonlySet<number> = new Set([4096, 16_384, 65_536]);
/** Kernel addresses have at least 36 bits (16 KiB pages, two levels) and at most 52. */
const LEAST_BITS = 36n;
const MOST_BITS = 52n;
/** The image lies at a multiple of this from where the kernel is linked (arm64's booting.rst: 2 MiB, relocatable 64 KiB). */
const IMAGE_ALIGNMENT = 1n << 16n;
/** Everything of the kernel image lies in so much. */
const IMAGE_BYTES = 1n << 28n;
const MOST_PHYSICAL = 2 ** 52;
/** Of an address' upper half: bit 55, which chooses the kernel's half whatever is above. */
const KERNEL_HALF = 1 << 23;

/**
 * arm64: three maps that VMCOREINFO describes (arch/arm64/kernel/vmcore_info.c, before 6.9
 * crash_core.c) — the image, at `kimage_voffset` from its physical place; the linear map, at
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
  /** Bits of an address' upper half that a signature of pointer authentication may change. */
  readonly #signature: number;
  readonly #anchor: Anchor;
  readonly #walk: Walk = (high, low) => this.translate(high, low);

  /**
   * @throws {KernelError} `unsupported-layout` when VMCOREINFO lacks what is needed or says what no
   * machine has, `damaged` when the page tables contradict it.
   */
  constructor(image: MemoryImage, info: Vmcoreinfo) {
    this.#image = image;
    this.#info = info;
    const pageSize = info.pageSize;
    if (pageSize === undefined || !PAGE_SIZES.has(pageSize)) throw lacking(info, 'PAGESIZE');
    this.pageSize = pageSize;
    const pageShift = Math.log2(pageSize);
    this.#addressBits = bitsIn(info, 'VA_BITS', info.number('VA_BITS'));
    // Since 5.9. Without it, the bits in use are those that the kernel was built for.
    const t1sz = info.number('TCR_EL1_T1SZ');
    const tableBits =
      t1sz === undefined ? this.#addressBits : bitsIn(info, 'TCR_EL1_T1SZ', 64n - t1sz);
    this.#tableBits = tableBits;
    // No bit that tables translate is signed, whatever VMCOREINFO says.
    const translated = (1n << tableBits) - 1n;
    this.#signature = highHalf((info.number('KERNELPACMASK') ?? 0n) & ~translated);

    const root = info.symbol('swapper_pg_dir');
    const offset = info.number('kimage_voffset');
    if (root === undefined) throw lacking(info, 'swapper_pg_dir');
    if (offset === undefined) throw lacking(info, 'kimage_voffset');
    const physical = (address: bigint): number => Number(BigInt.asUintN(64, address - offset));
    const anchor = info.symbol('_stext') ?? root;
    for (const address of [root, anchor])
      if (physical(address) >= MOST_PHYSICAL) throw lacking(info, 'kimage_voffset');
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

  /** The upper half of an address without its signature. */
  #unsigned(high: number): number {
    return (high & KERNEL_HALF) === 0 ? high : (high | this.#signature) >>> 0;
  }

  /**
   * The linear map: physical = virtual − its start + PHYS_OFFSET, modulo 2^64. PHYS_OFFSET is below
   * 0 where a kernel for 52 bits runs on a machine of 48. It lies in the lower half of the kernel's
   * addresses since 5.4, in the upper one before.
   */
  #findDirectMap(kernel: EarlyKernel): Sought<LinearRange> {
    const search = new RegionSearch('direct map');
    const offset = this.#info.number('PHYS_OFFSET');
    if (offset === undefined) return search.contradicted('VMCOREINFO has no PHYS_OFFSET');
    const signed = BigInt.asIntN(64, offset);
    const first = signed < 0n ? 0n : signed;
    const end = memoryEnd(kernel, this.#image, this.pageSize, MOST_PHYSICAL);
    if (first >= BigInt(MOST_PHYSICAL) || end - Number(first) < this.pageSize)
      return search.contradicted('PHYS_OFFSET is beyond the end of memory');
    for (const bits of [this.#addressBits, this.#addressBits - 1n]) {
      const start = BigInt.asUintN(64, first - signed - (1n << bits));
      // Below what tables translate there is no memory, even if a signature's bits hide that.
      const lowest = (1n << 64n) - (1n << this.#tableBits);
      const below = start < lowest ? lowest - start : 0n;
      const physical = first + below;
      const most = (1n << (bits - (bits === this.#addressBits ? 1n : 0n))) - below;
      const length = Math.min(end - Number(physical), Number(most));
      if (length < this.pageSize) continue;
      const range = new LinearRange(start + below, length, Number(physical));
      if (this.#mapsDirectly(range, search))
        return { found: range, from: 'PHYS_OFFSET, verified in the page tables' };
    }
    return search.notFound('the page tables contradict PHYS_OFFSET');
  }

  /** Whether page tables lead a range where it says: at two places of the image, and the last page. */
  #mapsDirectly(range: LinearRange, search: RegionSearch): boolean {
    const last = range.length - (range.length % this.pageSize || this.pageSize);
    const probes = [this.#anchor.physical, this.#tables.root, range.physical + last];
    const places = probes
      .filter((physical) => physical >= range.physical && physical < range.physical + range.length)
      .map((physical) => ({
        virtual: range.address + BigInt(physical - range.physical),
        physical,
      }));
    return agrees(this.#walk, places, search);
  }

  /**
   * The array of `struct page`: what `vmemmap` holds, VMEMMAP_START less the pages below PHYS_OFFSET
   * (asm/pgtable.h), or what sections of memory say. Those that are known must agree. A PHYS_OFFSET
   * that page tables contradict is no base for anything.
   */
  #findPages(kernel: EarlyKernel, offsetSound: boolean): Sought<PageArray> {
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
            : BigInt.asUintN(
                64,
                start - (BigInt.asIntN(64, offset) / BigInt(this.pageSize)) * BigInt(stride),
              ),
        from: 'VMEMMAP_START',
      },
      { address: pagesOfSection(kernel, info, this.pageSize, frame, search), from: 'mem_section' },
    ];
    const known = candidates.filter(
      (one): one is { address: bigint; from: string } => one.address !== undefined,
    );
    const first = known[0];
    if (first === undefined)
      return search.notFound('VMCOREINFO has no usable VMEMMAP_START and PHYS_OFFSET');
    const other = known.find(({ address }) => address !== first.address);
    if (other !== undefined) {
      const says = ({ address, from }: typeof first): string => `${from} ${hex(address)}`;
      return search.contradicted(`${says(first)}, but ${says(other)}`);
    }
    const from = known.map((one) => one.from).join(' and ');
    if (first.address % 8n !== 0n) return search.contradicted(`${from} is ${hex(first.address)}`);
    const page = BigInt.asUintN(64, first.address + BigInt(frame * stride));
    if (walkOrNot(this.#walk, page, search) < 0)
      return search.notFound(`${from} leads to unmapped memory`);
    return { found: { address: first.address, stride }, from };
  }
}

function bitsIn(info: Vmcoreinfo, name: string, bits: bigint | undefined): bigint {
  if (bits === undefined || bits < LEAST_BITS || bits > MOST_BITS) throw lacking(info, name);
  return bits;
}

function lacking(info: Vmcoreinfo, name: string): KernelError {
  const keys = [name, `NUMBER(${name})`, `SYMBOL(${name})`];
  const said = keys.map((key) => info.entries.get(key)).find((value) => value !== undefined);
  const what = said === undefined ? `no ${name}` : `${name}=${JSON.stringify(said.slice(0, 40))}`;
  return new KernelError('unsupported-layout', `VMCOREINFO: ${what}, which arm64 requires`);
}
