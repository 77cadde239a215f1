import { damaged, KernelError, ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { FileSystems } from '../files/mounts.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { MapleTreeReader } from './maple-tree.js';

/** A mapping of a process: a `struct vm_area_struct`. */
export interface ProcessArea {
  readonly address: bigint;
  /** Virtual address range; `end` is exclusive. */
  readonly start: bigint;
  readonly end: bigint;
  /** Bits of {@link VM}. */
  readonly flags: bigint;
  /** Offset in its file, in base pages; for other memory, its original position. */
  readonly pageOffset: bigint;
  /** Addresses of its `struct file`, `vm_operations_struct` and `vm_private_data`; 0n: none. */
  readonly file: bigint;
  readonly operations: bigint;
  readonly privateData: bigint;
  /** Address of its `struct anon_vma_name`; 0n if it has no name. */
  readonly name: bigint;
}

/** Bits of `vm_flags` (include/linux/mm.h). */
export const VM = {
  read: 1n,
  write: 2n,
  execute: 4n,
  shared: 8n,
  mayShare: 0x80n,
  growsDown: 0x100n,
  frames: 0x400n,
  locked: 0x2000n,
  device: 0x4000n,
  hugetlb: 0x40_0000n,
} as const;

/** Mappings of one process, with contradictions. */
export interface ProcessAreas {
  /** In address order, without overlaps. */
  readonly areas: readonly ProcessArea[];
  /** Addresses from `mm_struct`. */
  readonly heap: { readonly start: bigint; readonly end: bigint };
  readonly stack: bigint;
  /** Reasons why mappings may be missing or wrong; empty if everything is consistent. */
  readonly doubts: readonly (ReadError | KernelError)[];
}

/** More mappings than any process has. */
const MAX_AREAS = 2 ** 20;

/**
 * Reads the mappings of a process: from the maple tree since 6.1, from a list before. Checks them against
 * their neighbours, the owner that each one names, and the counters of the address space.
 */
export class ProcessAreaReader {
  readonly #kernel: Kernel;
  readonly #memory;
  readonly #area;
  readonly #names: StructReader<'anon_name'> | undefined;
  /** A mapping of a file may have a name, too: otherwise the field is shared with other data. */
  readonly #filesHaveNames: boolean;
  readonly #tree: { readonly reader: MapleTreeReader; readonly at: bigint } | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#memory = new StructReader(kernel, 'mm_struct', [
      'map_count',
      'total_vm',
      'locked_vm',
      'data_vm',
      'exec_vm',
      'stack_vm',
      'start_brk',
      'brk',
      'start_stack',
    ]);
    this.#area = new StructReader(kernel, 'vm_area_struct', [
      'vm_start',
      'vm_end',
      'vm_mm',
      'vm_flags',
      'vm_pgoff',
      'vm_file',
      'vm_ops',
      'vm_private_data',
    ]);
    const layout = kernel.struct('vm_area_struct');
    this.#names = StructReader.ifPresent(kernel, 'vm_area_struct', ['anon_name']);
    const shared = layout?.member('shared')?.offset;
    this.#filesHaveNames = this.#names?.offset('anon_name') !== shared;
    const tree = kernel.struct('mm_struct')?.member('mm_mt');
    this.#tree = tree && { reader: new MapleTreeReader(kernel), at: BigInt(tree.offset) };
  }

  /** @throws {ReadError} if the address space itself cannot be read */
  read(mm: bigint): ProcessAreas {
    const doubts: (ReadError | KernelError)[] = [];
    const memory = this.#memory.read(mm);
    const areas: ProcessArea[] = [];
    const walk = this.#tree ? this.#inTree(mm, doubts) : this.#inList(mm);
    try {
      for (const area of walk) {
        if (areas.length >= MAX_AREAS) throw damaged('VMA list does not terminate (loop?)');
        const last = areas.at(-1);
        if (last && area.start < last.end) doubts.push(damaged(`${name(area)} overlaps ${name(last)}`));
        else areas.push(area);
      }
    } catch (error) {
      doubts.push(expected(error));
    }
    if (!this.#kernel.facts.live) {
      const count = memory.number('map_count');
      if (count !== areas.length) doubts.push(damaged(`it counts ${count} mappings, but ${areas.length} were found`));
      doubts.push(...this.#countMismatches(areas, (path) => memory.number(path)));
    }
    return {
      areas,
      heap: { start: memory.pointer('start_brk'), end: memory.pointer('brk') },
      stack: memory.pointer('start_stack'),
      doubts,
    };
  }

  *#inTree(mm: bigint, doubts: (ReadError | KernelError)[]): Generator<ProcessArea> {
    const { reader, at } = this.#tree!;
    for (const { first, last, entry } of reader.entries(mm + at, (error) => doubts.push(error))) {
      try {
        const area = this.#read(entry, mm);
        if (!this.#kernel.facts.live && (area.start !== first || area.end !== last + 1n)) {
          const place = `${hex(first)} to ${hex(last + 1n)}`;
          throw damaged(`${name(area)} is in the tree as ${place}`);
        }
        yield area;
      } catch (error) {
        doubts.push(expected(error));
      }
    }
  }

  /** Up to 6.0: `mm_struct.mmap`, each of which names the previous one. */
  *#inList(mm: bigint): Generator<ProcessArea> {
    const first = new StructReader(this.#kernel, 'mm_struct', ['mmap']).read(mm).pointer('mmap');
    const links = new StructReader(this.#kernel, 'vm_area_struct', ['vm_next', 'vm_prev']);
    let before = 0n;
    for (let at = first; at !== 0n; ) {
      const link = links.read(at);
      if (link.pointer('vm_prev') !== before && !this.#kernel.facts.live)
        throw damaged(`the mapping at ${hex(at)} has an inconsistent previous mapping`);
      yield this.#read(at, mm);
      before = at;
      at = link.pointer('vm_next');
    }
  }

  #read(address: bigint, mm: bigint): ProcessArea {
    const view = this.#area.read(address);
    const file = view.pointer('vm_file');
    const area = {
      address,
      start: view.pointer('vm_start'),
      end: view.pointer('vm_end'),
      flags: view.pointer('vm_flags'),
      pageOffset: view.pointer('vm_pgoff'),
      file,
      operations: view.pointer('vm_ops'),
      privateData: view.pointer('vm_private_data'),
      name: file === 0n || this.#filesHaveNames ? this.#name(address) : 0n,
    };
    if (view.pointer('vm_mm') !== mm) throw damaged(`${name(area)} belongs to another process`);
    const size = BigInt(this.#kernel.facts.pageSize);
    if (area.start >= area.end || area.start % size !== 0n || area.end % size !== 0n)
      throw damaged(`${name(area)} has an invalid address range`);
    return area;
  }

  #name(address: bigint): bigint {
    return this.#names?.read(address).pointer('anon_name') ?? 0n;
  }

  /** Counters of the address space by flags (vm_stat_account), in base pages. */
  #countMismatches(areas: readonly ProcessArea[], counter: (path: Counter) => number): KernelError[] {
    const size = BigInt(this.#kernel.facts.pageSize);
    const stack = VM.growsDown;
    let [total, executed, rest, locked] = [0, 0, 0, 0];
    for (const { start, end, flags } of areas) {
      const pages = Number((end - start) / size);
      total += pages;
      if ((flags & (VM.execute | VM.write | stack)) === VM.execute) executed += pages;
      else if ((flags & stack) !== 0n) rest += pages;
      else if ((flags & (VM.write | VM.shared)) === VM.write) rest += pages;
      if ((flags & VM.locked) !== 0n) locked += pages;
    }
    const doubts = [
      ['pages', counter('total_vm'), total],
      ['pages of code', counter('exec_vm'), executed],
      ['pages of data and stacks', counter('data_vm') + counter('stack_vm'), rest],
    ] as const;
    const wrong = doubts
      .filter(([, counted, mapped]) => counted !== mapped)
      .map(([what, counted, mapped]) => `it counts ${counted} ${what}, but its mappings have ${mapped}`);
    // Others than mlock count there, too.
    if (locked > counter('locked_vm'))
      wrong.push(`it counts ${counter('locked_vm')} locked pages, but its mappings have ${locked}`);
    return wrong.map((message) => damaged(message));
  }
}

type Counter = 'total_vm' | 'locked_vm' | 'data_vm' | 'exec_vm' | 'stack_vm';

/** Names a mapping in messages. */
function name({ start, end }: Pick<ProcessArea, 'start' | 'end'>): string {
  return `the mapping ${hex(start)}-${hex(end)}`;
}

/** @throws errors that are no fault of the dump */
function expected(error: unknown): ReadError | KernelError {
  if (error instanceof ReadError || error instanceof KernelError) return error;
  throw error;
}

/**
 * Reads swapped shared memory: it is missing in page tables, but the file counts it
 * (`shmem_inode_info.swapped`). smaps shows it for each mapping of the file (shmem_swap_usage).
 */
export class ShmemSwapReader {
  readonly #file;
  readonly #inode;
  readonly #counts;
  readonly #own;
  readonly #operations: bigint | undefined;
  readonly #systems: FileSystems;

  constructor(kernel: Kernel) {
    this.#file = new StructReader(kernel, 'file', ['f_inode']);
    this.#inode = new StructReader(kernel, 'inode', ['i_sb', 'i_size', 'i_data.a_ops']);
    this.#operations = kernel.symbol('shmem_aops');
    this.#counts = new StructReader(kernel, 'shmem_inode_info', ['swapped']);
    this.#own = new StructReader(kernel, 'shmem_inode_info', ['vfs_inode']);
    this.#systems = new FileSystems(kernel);
  }

  /**
   * Returns the base pages of a mapping's file that are in swap; undefined: the file has some, but it is
   * unknown which of them belong to this mapping.
   */
  of(
    { file, start, end, pageOffset, flags }: ProcessArea,
    pageSize: number,
  ): { readonly pages: number; readonly proportional: 0 } | undefined {
    if (file === 0n) return { pages: 0, proportional: 0 };
    const address = this.#file.read(file).pointer('f_inode');
    const inode = this.#inode.read(address);
    const operations = inode.pointer('i_data.a_ops');
    // The initial rootfs is a tmpfs under another name. Some kernels have no data symbols.
    const isShared =
      this.#operations === undefined
        ? this.#systems.of(inode.pointer('i_sb')).fsType === 'tmpfs'
        : operations === this.#operations;
    if (!isShared) return { pages: 0, proportional: 0 };
    const info = this.#own.containerOf(address, 'vfs_inode');
    const pages = this.#counts.read(info).number('swapped');
    if (pages === 0) return { pages, proportional: 0 };
    const length = Math.ceil(inode.number('i_size') / pageSize) * pageSize;
    const all = pageOffset === 0n && Number(end - start) >= length;
    // A private mapping may have its own pages instead of those in swap.
    const own = (flags & VM.shared) === 0n && (flags & VM.write) !== 0n;
    return all && !own ? { pages, proportional: 0 } : undefined;
  }
}

/**
 * Maximum number of swap areas: higher numbers are migration entries, damaged ones and markers
 * (include/linux/swapops.h). Undefined: not known to the kernel.
 */
export function swapAreas(kernel: Kernel): number | undefined {
  const at = kernel.symbol('nr_swapfiles');
  if (at === undefined) return undefined;
  return readPartOf(kernel, 'nr_swapfiles', at, at, 4).getUint32(0, true);
}
