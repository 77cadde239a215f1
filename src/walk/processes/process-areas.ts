import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { MapleTreeReader } from './maple-tree.js';

/** A mapping of a process: a `struct vm_area_struct`. */
export interface ProcessArea {
  readonly address: bigint;
  /** Addresses of the process, `end` behind the last byte. */
  readonly start: bigint;
  readonly end: bigint;
  /** Of {@link VM}. */
  readonly flags: bigint;
  /** Where in its file it begins, in base pages; of other memory where it was when it was made. */
  readonly pageOffset: bigint;
  /** Addresses of its `struct file`, `vm_operations_struct` and `vm_private_data`; 0n: none. */
  readonly file: bigint;
  readonly operations: bigint;
  readonly privateData: bigint;
  /** Address of its `struct anon_vma_name`; 0n: nobody named it. */
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

/** What is known of the mappings of one process, and what contradicts what. */
export interface ProcessAreas {
  /** In the order of their addresses; none overlaps another. */
  readonly areas: readonly ProcessArea[];
  /** Addresses in `mm_struct`. */
  readonly heap: { readonly start: bigint; readonly end: bigint };
  readonly stack: bigint;
  /** Why some may be missing or wrong; empty: all agrees. */
  readonly doubts: readonly (ReadError | KernelError)[];
}

/** More mappings than any process has. */
const MOST_AREAS = 2 ** 20;

/**
 * Reads the mappings of a process: from the maple tree that they hang in since 6.1, or from the list before.
 * Ends of neighbours, the owner that each names, and the counters of the address space are held against them.
 */
export class ProcessAreaReader {
  readonly #kernel: Kernel;
  readonly #memory;
  readonly #area;
  readonly #nameAt: bigint | undefined;
  /** A mapping of a file may have a name too: else the place is another's then. */
  readonly #filesHaveNames: boolean;
  readonly #tree: { readonly reader: MapleTreeReader; readonly at: bigint } | undefined;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#memory = new StructReader(kernel, 'mm_struct', [
      ...(['map_count', 'total_vm', 'locked_vm', 'data_vm', 'exec_vm', 'stack_vm'] as const),
      ...(['start_brk', 'brk', 'start_stack'] as const),
    ]);
    this.#area = new StructReader(kernel, 'vm_area_struct', [
      ...(['vm_start', 'vm_end', 'vm_mm', 'vm_flags', 'vm_pgoff', 'vm_file'] as const),
      ...(['vm_ops', 'vm_private_data'] as const),
    ]);
    const layout = kernel.struct('vm_area_struct');
    const name = layout?.member('anon_name');
    this.#nameAt = name && BigInt(name.offset);
    this.#filesHaveNames = name?.offset !== layout?.member('shared')?.offset;
    const tree = kernel.struct('mm_struct')?.member('mm_mt');
    this.#tree = tree && { reader: new MapleTreeReader(kernel), at: BigInt(tree.offset) };
  }

  /** @throws {ReadError} if the address space itself cannot be read */
  read(mm: bigint): ProcessAreas {
    const doubts: (ReadError | KernelError)[] = [];
    const memory = this.#memory.read(mm);
    const areas: ProcessArea[] = [];
    const found = this.#tree ? this.#inTree(mm, doubts) : this.#inList(mm);
    try {
      for (const area of found) {
        if (areas.length >= MOST_AREAS)
          throw new KernelError('damaged', 'VMA list does not terminate (loop?)');
        const last = areas.at(-1);
        if (last && area.start < last.end)
          doubts.push(new KernelError('damaged', `${name(area)} overlaps ${name(last)}`));
        else areas.push(area);
      }
    } catch (error) {
      doubts.push(expected(error));
    }
    if (!this.#kernel.facts.live) {
      const count = memory.number('map_count');
      if (count !== areas.length)
        doubts.push(
          new KernelError('damaged', `it counts ${count} mappings, and ${areas.length} were found`),
        );
      doubts.push(...this.#countedElse(areas, (path) => memory.number(path)));
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
          throw new KernelError('damaged', `${name(area)} hangs in the tree as ${place}`);
        }
        yield area;
      } catch (error) {
        doubts.push(expected(error));
      }
    }
  }

  /** Up to 6.0: `mm_struct.mmap`, each of which names the one before. */
  *#inList(mm: bigint): Generator<ProcessArea> {
    const first = new StructReader(this.#kernel, 'mm_struct', ['mmap']).read(mm).pointer('mmap');
    const links = new StructReader(this.#kernel, 'vm_area_struct', ['vm_next', 'vm_prev']);
    let before = 0n;
    for (let at = first; at !== 0n; ) {
      const link = links.read(at);
      if (link.pointer('vm_prev') !== before && !this.#kernel.facts.live)
        throw new KernelError('damaged', `the mapping at ${hex(at)} names another before it`);
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
    if (view.pointer('vm_mm') !== mm)
      throw new KernelError('damaged', `${name(area)} is another process’s`);
    const size = BigInt(this.#kernel.facts.pageSize);
    if (area.start >= area.end || area.start % size !== 0n || area.end % size !== 0n)
      throw new KernelError('damaged', `${name(area)} has no such addresses`);
    return area;
  }

  #name(address: bigint): bigint {
    if (this.#nameAt === undefined) return 0n;
    const at = address + this.#nameAt;
    return pointerPartOf(this.#kernel, 'struct vm_area_struct', address, at);
  }

  /** What the address space counts of them by their flags (vm_stat_account), in base pages. */
  #countedElse(areas: readonly ProcessArea[], told: (path: Counter) => number): KernelError[] {
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
      ['pages', told('total_vm'), total],
      ['pages of code', told('exec_vm'), executed],
      ['pages of data and stacks', told('data_vm') + told('stack_vm'), rest],
    ] as const;
    const wrong = doubts
      .filter(([, counted, found]) => counted !== found)
      .map(
        ([what, counted, found]) => `it counts ${counted} ${what}, and its mappings have ${found}`,
      );
    // Others than mlock count there too.
    if (locked > told('locked_vm'))
      wrong.push(`it counts ${told('locked_vm')} locked pages, and its mappings have ${locked}`);
    return wrong.map((message) => new KernelError('damaged', message));
  }
}

type Counter = 'total_vm' | 'locked_vm' | 'data_vm' | 'exec_vm' | 'stack_vm';

/** For messages. */
function name({ start, end }: Pick<ProcessArea, 'start' | 'end'>): string {
  return `the mapping ${hex(start)}-${hex(end)}`;
}

/** @throws what is no fault of the dump's */
function expected(error: unknown): ReadError | KernelError {
  if (error instanceof ReadError || error instanceof KernelError) return error;
  throw error;
}
