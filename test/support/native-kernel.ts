import type { MemoryImage } from '../../src/kernel/native/image/image.js';
import type { AddressEncoding } from '../../src/kernel/native/kallsyms/tables.js';
import type { KernelSymbol } from '../../src/kernel/native/symbols.js';
import { BtfWriter } from './btf.js';
import { type KallsymsOrder, writeKallsyms } from './kallsyms.js';
import { PageTableWriter, SparseMemory } from './page-tables.js';
import { vmcoreinfoText } from './vmcoreinfo.js';

const START_KERNEL_MAP = 0xffffffff80000000n;
const MIB2 = 0x20_0000;

export interface SyntheticKernelOptions {
  readonly levels?: 4 | 5;
  /** KASLR offset from the link addresses; a multiple of 2 MiB. */
  readonly kernelOffset?: bigint;
  /** VMCOREINFO's phys_base; may be negative. */
  readonly physBase?: number;
  readonly directMap?: bigint;
  readonly pages?: bigint;
  readonly encryption?: bigint;
  readonly order?: KallsymsOrder;
  readonly encoding?: AddressEncoding;
  /** False: no symbol table is in memory. */
  readonly kallsyms?: boolean;
  /** VMCOREINFO names the tables of kallsyms, as since 6.0. */
  readonly named?: boolean;
  /** VMCOREINFO is in a note; otherwise only in memory. */
  readonly note?: boolean;
  /** The kernel has variables for its bases, as with CONFIG_RANDOMIZE_MEMORY. */
  readonly variables?: boolean;
  /** Symbols besides the required ones. */
  readonly extra?: readonly KernelSymbol[];
  readonly btf?: Uint8Array;
}

/** A synthetic kernel of 8 MiB with 32 MiB of memory, which contains only what openNative reads. */
export interface SyntheticKernel {
  readonly image: MemoryImage;
  readonly memory: SparseMemory;
  readonly tables: PageTableWriter;
  readonly symbols: readonly KernelSymbol[];
  readonly text: string;
  readonly directMap: bigint;
  readonly pages: bigint;
  /** Four pages of the vmalloc area, which are apart and in reverse order in memory. */
  readonly vmalloc: bigint;
  /** Addresses of the kernel's image, constants and variables. */
  readonly at: { readonly text: bigint; readonly constants: bigint; readonly data: bigint };
  physical(address: bigint): number;
}

export const SYNTHETIC_RELEASE = '6.1.0-synthetic';
/** Bytes of memory. */
export const SYNTHETIC_MEMORY = 32 << 20;

/** Some types, including those that a walk over sockets requires. */
export function someTypes(): BtfWriter {
  const btf = new BtfWriter();
  const int = btf.int('unsigned int', 4);
  const long = btf.int('long unsigned int', 8);
  btf.struct('page', 64, [
    { name: 'flags', type: long, bitOffset: 0 },
    { name: '_refcount', type: int, bitOffset: 52 * 8 },
  ]);
  btf.enum('pageflags', { PG_locked: 0, PG_head: 16 });
  return btf;
}

export function syntheticKernel(options: SyntheticKernelOptions = {}): SyntheticKernel {
  const {
    levels = 4,
    kernelOffset = 0x1200_0000n,
    physBase = -0x1200_0000,
    directMap = levels === 4 ? 0xffff9b84c0000000n : 0xff3a5b1540000000n,
    pages = levels === 4 ? 0xffffe3d2c0000000n : 0xffd41f0480000000n,
    encryption = 0n,
    order = 'between',
    encoding = 'relative-percpu',
    named = true,
    note = true,
    variables = true,
  } = options;
  const memory = new SparseMemory();
  const text = START_KERNEL_MAP + 0x100_0000n + kernelOffset;
  const constants = text + BigInt(MIB2);
  const data = text + BigInt(2 * MIB2);
  const physical = (address: bigint): number => Number(address - START_KERNEL_MAP + BigInt(physBase));

  const place = {
    uts: data + 0x1000n,
    pageOffsetBase: data + 0x2000n,
    vmemmapBase: data + 0x2008n,
    maxPfn: data + 0x2010n,
    sections: data + 0x3000n,
    root: data + 0x10_0000n,
  };
  const btf = options.btf ?? someTypes().build();
  const btfAt = constants + 0x10_0000n;
  const symbols: KernelSymbol[] = [
    { name: 'cpu_number', type: 'A', address: 0x1c040n },
    { name: '_text', type: 'T', address: text },
    { name: '_stext', type: 'T', address: text },
    { name: 'do_nothing', type: 't', address: text + 0x100n },
    { name: 'do_something', type: 'T', address: text + 0x200n },
    { name: 'do_nothing', type: 't', address: text + 0x300n },
    { name: '__start_BTF', type: 'R', address: btfAt },
    { name: '__stop_BTF', type: 'R', address: btfAt + BigInt(btf.length) },
    { name: 'init_uts_ns', type: 'D', address: place.uts },
    ...(variables
      ? [
          { name: 'page_offset_base', type: 'D', address: place.pageOffsetBase },
          { name: 'vmemmap_base', type: 'D', address: place.vmemmapBase },
        ]
      : []),
    { name: 'max_pfn', type: 'B', address: place.maxPfn },
    { name: 'init_top_pgt', type: 'D', address: place.root },
    ...(options.extra ?? []),
    { name: '_end', type: 'B', address: text + BigInt(4 * MIB2) },
  ].sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  const kallsymsAt = constants + 0x8000n;
  // `absolute` tables contain no per-CPU offsets apart from the addresses; other entries are relative to the image.
  const listed =
    encoding === 'relative' || encoding === 'place' ? symbols.filter(({ address }) => address >= 1n << 63n) : symbols;
  const kallsyms = writeKallsyms(listed, encoding, order, kallsymsAt);
  const write = (address: bigint, bytes: Uint8Array): void => memory.write(physical(address), bytes);

  const tables = new PageTableWriter(memory, physical(place.root), levels, encryption);
  const large = MIB2 as 0x20_0000;
  tables.map(text, physical(text), large, { writable: false, executable: true });
  tables.map(constants, physical(constants), large, { writable: false });
  tables.map(data, physical(data), large);
  for (let at = 0; at < SYNTHETIC_MEMORY; at += MIB2) tables.map(directMap + BigInt(at), at, large);
  tables.map(pages, 0x180_0000, large);
  const vmalloc = levels === 4 ? 0xffffb0e140000000n : 0xffa0f00100000000n;
  for (let page = 0; page < 4; page++) tables.map(vmalloc + BigInt(page * 4096), 0x1a0_8000 - page * 8192);
  for (let page = 0; page < 4; page++) memory.page(0x1a0_8000 - page * 8192).fill(page + 1);

  memory.page(0).fill(0xaa);
  write(text, Uint8Array.of(0x0f, 0x1f, 0x44, 0, 0));
  if (options.kallsyms !== false) write(kallsymsAt, kallsyms.bytes);
  write(btfAt, btf);
  const uts = Buffer.alloc(6 * 65);
  uts.write('Linux', 0);
  uts.write(SYNTHETIC_RELEASE, 2 * 65);
  write(place.uts, uts);
  memory.writeWord(physical(place.pageOffsetBase), directMap);
  memory.writeWord(physical(place.vmemmapBase), pages);
  memory.writeWord(physical(place.maxPfn), BigInt(SYNTHETIC_MEMORY / 4096));
  // One root with one section of 128 MiB: present, with a map, online, early.
  memory.writeWord(physical(place.sections), place.sections + 0x100n);
  memory.writeWord(physical(place.sections) + 0x100, pages | 15n);
  memory.page(0x180_0000);

  const tableSymbols = Object.entries(kallsyms.tables)
    .filter(([name]) => name !== 'kallsyms_markers' && name !== 'kallsyms_seqs_of_names')
    .map(([name, at]) => [name, kallsymsAt + BigInt(at)] as const);
  const infoText = vmcoreinfoText({
    release: SYNTHETIC_RELEASE,
    kernelOffset,
    symbols: new Map([
      ['init_uts_ns', place.uts],
      ['_stext', text],
      ['swapper_pg_dir', place.root],
      ['init_top_pgt', place.root],
      ['mem_section', place.sections],
      ...(named ? tableSymbols : []),
    ]),
    numbers: {
      phys_base: BigInt(physBase),
      pgtable_l5_enabled: levels === 5 ? 1n : 0n,
      sme_mask: encryption,
      SECTION_SIZE_BITS: 27n,
    },
    sizes: { page: 64, mem_section: 16 },
    offsets: { 'mem_section.section_mem_map': 0, 'uts_namespace.name': 0, 'page._refcount': 52 },
    lengths: { mem_section: 2048 },
  });
  if (!note) memory.write(0x1c0_0000, Buffer.from(infoText, 'latin1'));
  return {
    image: memory.image({ vmcoreinfo: note ? infoText : undefined }),
    memory,
    tables,
    symbols: listed,
    text: infoText,
    directMap,
    pages,
    vmalloc,
    at: { text, constants, data },
    physical,
  };
}
