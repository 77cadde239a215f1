import type { MemoryImage } from '../../src/kernel/native/image/image.js';
import type { KernelSymbol } from '../../src/kernel/native/symbols.js';
import { type Arm64Shape, Arm64TableWriter, blockBytes } from './arm64-page-tables.js';
import { writeKallsyms } from './kallsyms.js';
import { SYNTHETIC_RELEASE, someTypes } from './native-kernel.js';
import { SparseMemory } from './page-tables.js';
import { vmcoreinfoText } from './vmcoreinfo.js';

export interface Arm64KernelOptions extends Arm64Shape {
  /** Whether the linear map is in the upper half of the kernel's addresses, as before 5.4. */
  readonly upperHalf?: boolean;
  /** Physical address of the start of memory. */
  readonly ram?: number;
  /** Entries of VMCOREINFO that replace the correct ones. */
  readonly numbers?: Readonly<Record<string, bigint>>;
  /** Keys of VMCOREINFO that are left out. */
  readonly without?: readonly string[];
  /** Machine in the headers of the dump. */
  readonly machine?: string | undefined;
  /** Whether VMCOREINFO leads to memory sections, which locate the struct pages a second time. */
  readonly sections?: boolean;
  /** Address bits that pointer authentication signs. */
  readonly signature?: bigint;
}

/** A synthetic arm64 kernel with 64 MiB of memory, which contains only what openNative reads. */
export interface Arm64Kernel {
  readonly image: MemoryImage;
  readonly memory: SparseMemory;
  readonly symbols: readonly KernelSymbol[];
  /** Returns the virtual address of a physical one in the linear map. */
  linear(physical: number): bigint;
  /** Returns the `struct page` of a page frame. */
  page(frame: number): bigint;
  readonly ram: number;
  readonly text: bigint;
  /** Two pages in reverse physical order, each filled with its own number: 1, 2. */
  readonly vmalloc: bigint;
}

export const ARM64_MEMORY = 64 << 20;
const MIB = 1 << 20;

export function arm64Kernel(options: Arm64KernelOptions): Arm64Kernel {
  const { page, bits, built = bits, ram = 0x4000_0000, upperHalf = false } = options;
  const top = 1n << 64n;
  const memory = new SparseMemory();
  const linearStart = top - (1n << BigInt(upperHalf ? bits - 1 : bits));
  const linear = (physical: number): bigint => linearStart + BigInt(physical - ram);
  // The kernel counts from the start that the map would have if all bits of the build were in use.
  const physOffset = BigInt(ram) - ((1n << BigInt(upperHalf ? bits : built)) - (1n << BigInt(bits)));

  // The image, in the middle of the remaining space, moved by KASLR to a multiple of 64 KiB.
  const text = top - (1n << BigInt(bits - 2)) + 0x13_0000n;
  const imageAt = ram + 8 * MIB;
  const voffset = text - BigInt(imageAt);
  const physical = (address: bigint): number => Number(address - voffset);
  const at = (bytes: number): bigint => text + BigInt(bytes);
  const write = (address: bigint, bytes: Uint8Array): void => memory.write(physical(address), bytes);
  const place = { constants: at(2 * MIB), data: at(4 * MIB), root: at(6 * MIB) };

  const tables = new Arm64TableWriter(memory, physical(place.root), options);
  for (let into = 0; into < 8 * MIB; into += page) {
    const executable = into < 2 * MIB;
    tables.map(at(into), BigInt(imageAt + into), 0, { writable: into >= 4 * MIB, executable });
  }
  // The linear map, by blocks if the addresses allow it.
  const block = blockBytes(options, 1);
  const useBlocks = ram % block === 0 && linearStart % BigInt(block) === 0n && block <= ARM64_MEMORY;
  const step = useBlocks ? block : page;
  for (let into = 0; into < ARM64_MEMORY; into += step)
    tables.map(linear(ram + into), BigInt(ram + into), useBlocks ? 1 : 0);

  const stride = 64;
  const vmemmap = top - (1n << BigInt(bits - 4));
  const pagesAt = ram + 32 * MIB;
  const mapped = Math.ceil(((ARM64_MEMORY / page) * stride) / page);
  for (let index = 0; index < mapped; index++) {
    const one = index * page;
    tables.map(vmemmap + BigInt(((ram - ram) / page) * stride + one), BigInt(pagesAt + one));
  }
  const firstFrame = ram / page;
  const pageOfFrame = (frame: number): bigint => vmemmap + BigInt((frame - firstFrame) * stride);

  const vmalloc = top - (1n << BigInt(bits - 3));
  for (const index of [0, 1]) {
    const frame = ram + 48 * MIB - index * page;
    tables.map(vmalloc + BigInt(index * page), BigInt(frame));
    memory.write(frame, new Uint8Array(page).fill(index + 1));
  }

  const btf = someTypes().build();
  const btfAt = place.constants + 0x10_0000n;
  const uts = place.data + 0x1000n;
  const maxFrame = place.data + 0x2000n;
  const symbols: KernelSymbol[] = [
    { name: '_text', type: 'T', address: text },
    { name: '_stext', type: 'T', address: text },
    { name: 'do_something', type: 'T', address: text + 0x200n },
    { name: '__start_BTF', type: 'R', address: btfAt },
    { name: '__stop_BTF', type: 'R', address: btfAt + BigInt(btf.length) },
    { name: 'init_uts_ns', type: 'D', address: uts },
    { name: 'max_pfn', type: 'B', address: maxFrame },
    { name: 'swapper_pg_dir', type: 'D', address: place.root },
  ];
  const kallsymsAt = place.constants + 0x8000n;
  const kallsyms = writeKallsyms(symbols, 'relative', 'new', kallsymsAt);
  write(kallsymsAt, kallsyms.bytes);
  write(btfAt, btf);
  const names = Buffer.alloc(6 * 65);
  names.write(SYNTHETIC_RELEASE, 2 * 65);
  write(uts, names);
  memory.writeWord(physical(maxFrame), BigInt((ram + ARM64_MEMORY) / page));

  const sectionBits = page === 65_536 ? 29 : 27;
  const roots = place.data + 0x3000n;
  const sections = place.data + 0x1_0000n;
  memory.writeWord(physical(roots), sections);
  // SECTION_MARKED_PRESENT and SECTION_HAS_MEM_MAP.
  for (
    let section = Math.floor(ram / 2 ** sectionBits);
    section <= Math.floor((ram + ARM64_MEMORY - 1) / 2 ** sectionBits);
    section++
  )
    memory.writeWord(physical(sections) + section * 16, pageOfFrame(0) | 3n);

  const tablesAt = Object.entries(kallsyms.tables)
    .filter(([name]) => name !== 'kallsyms_markers' && name !== 'kallsyms_seqs_of_names')
    .map(([name, offset]) => [name, kallsymsAt + BigInt(offset)] as const);
  const whole = vmcoreinfoText({
    release: SYNTHETIC_RELEASE,
    pageSize: page,
    symbols: new Map([
      ['init_uts_ns', uts],
      ['_stext', text],
      ['swapper_pg_dir', place.root],
      ...tablesAt,
      ...(options.sections ? [['mem_section', roots] as const] : []),
    ]),
    sizes: { page: stride, mem_section: 16 },
    offsets: { 'uts_namespace.name': 0, 'mem_section.section_mem_map': 0 },
    lengths: { mem_section: 1024 },
    numbers: { VA_BITS: BigInt(built), TCR_EL1_T1SZ: BigInt(64 - bits), SECTION_SIZE_BITS: BigInt(sectionBits) },
  });
  const hexNumbers = {
    kimage_voffset: voffset,
    PHYS_OFFSET: BigInt.asUintN(64, physOffset),
    // The page frame of PHYS_OFFSET, which can be far below 0.
    VMEMMAP_START: BigInt.asUintN(64, vmemmap - (BigInt(firstFrame) - physOffset / BigInt(page)) * BigInt(stride)),
    KERNELPACMASK: options.signature ?? 0n,
    ...options.numbers,
  };
  const lines = [
    ...whole.trimEnd().split('\n'),
    ...Object.entries(hexNumbers).map(([name, value]) => `NUMBER(${name})=0x${value.toString(16)}`),
  ].filter((line) => !options.without?.some((key) => line.startsWith(`${key}=`)));
  return {
    image: memory.image({
      vmcoreinfo: `${lines.join('\n')}\n`,
      machine: 'machine' in options ? options.machine : 'aarch64',
    }),
    memory,
    symbols,
    linear,
    page: pageOfFrame,
    ram,
    text,
    vmalloc,
  };
}
