import type { Kernel } from '../../kernel/kernel.js';
import { FileSystems } from '../files/mounts.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { type ProcessArea, VM } from './process-areas.js';

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

  /** @throws {KernelError} `unsupported-layout` */
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
   *
   * @throws {ReadError}
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
