import type { Kernel } from '../../kernel/kernel.js';
import { FileSystems } from '../files/file-systems.js';
import { StructReader } from '../struct-reader.js';
import { type ProcessArea, VM } from './process-areas.js';

/**
 * What of shared memory is in swap: no page table tells, the file counts it (`shmem_inode_info.swapped`).
 * smaps shows it with each mapping of the file (shmem_swap_usage).
 */
export class ShmemSwapReader {
  readonly #file;
  readonly #inode;
  readonly #counts;
  readonly #inCounts: bigint;
  readonly #operations: bigint | undefined;
  readonly #systems: FileSystems;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#file = new StructReader(kernel, 'file', ['f_inode']);
    this.#inode = new StructReader(kernel, 'inode', ['i_sb', 'i_size', 'i_data.a_ops']);
    this.#operations = kernel.symbol('shmem_aops');
    this.#counts = new StructReader(kernel, 'shmem_inode_info', ['swapped']);
    const own = new StructReader(kernel, 'shmem_inode_info', ['vfs_inode']);
    this.#inCounts = BigInt(own.offset('vfs_inode'));
    this.#systems = new FileSystems(kernel);
  }

  /**
   * Base pages of a mapping's file that are in swap; undefined: it has some, and which of them are in this part
   * of it is not known.
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
    // The first root of all is of the same memory, and has another name. Some kernels name no data.
    const isShared =
      this.#operations === undefined
        ? this.#systems.of(inode.pointer('i_sb')).fsType === 'tmpfs'
        : operations === this.#operations;
    if (!isShared) return { pages: 0, proportional: 0 };
    const pages = this.#counts.read(address - this.#inCounts).number('swapped');
    if (pages === 0) return { pages, proportional: 0 };
    const length = Math.ceil(inode.number('i_size') / pageSize) * pageSize;
    const all = pageOffset === 0n && Number(end - start) >= length;
    // A private mapping may have pages of its own in place of those in swap.
    const own = (flags & VM.shared) === 0n && (flags & VM.write) !== 0n;
    return all && !own ? { pages, proportional: 0 } : undefined;
  }
}
