import { damaged } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import { deviceNumber, FileSystems } from './mounts.js';

/** A file that has pages in memory. */
export interface MappedFile {
  /** Address of its `struct inode`. */
  readonly inode: bigint;
  /** Inode number; NFS and others use all 64 bits. */
  readonly number: bigint;
  /** Address of its `struct super_block`. */
  readonly superBlock: bigint;
  /** Such as `ext4`; untrusted. */
  readonly fsType: string;
  /** `major:minor` of its file system's device, or of the block device itself. */
  readonly device: string;
  /** The name of a block device, such as `sda1`; untrusted. Undefined: it is none. */
  readonly blockDevice: string | undefined;
  /** File size, in bytes. */
  readonly size: number;
  /** It has no name any more. */
  readonly unlinked: boolean;
  /** At least one process maps it. */
  readonly mapped: boolean;
  /** Address of the head of its dentry list. */
  readonly dentries: bigint;
}

/** The file system of all block devices. */
const BLOCK_DEVICES = 'bdev';

/** Reads files by the `struct address_space` that their pages point to. */
export class MappedFileReader {
  readonly #mapping;
  readonly #leftmost: StructReader<'i_mmap.rb_leftmost'> | undefined;
  readonly #live: boolean;
  readonly #inode;
  readonly #own;
  readonly #systems: FileSystems;
  readonly #devices: BlockDeviceNames;

  constructor(kernel: Kernel) {
    this.#mapping = new StructReader(kernel, 'address_space', ['host', 'i_mmap', 'nrpages']);
    // rb_root_cached, since 4.14.
    this.#leftmost = StructReader.ifPresent(kernel, 'address_space', ['i_mmap.rb_leftmost']);
    this.#live = kernel.facts.live;
    this.#inode = new StructReader(kernel, 'inode', [
      'i_sb',
      'i_mapping',
      'i_ino',
      'i_nlink',
      'i_rdev',
      'i_size',
      'i_dentry',
    ]);
    this.#own = new StructReader(kernel, 'inode', ['i_data']);
    this.#systems = new FileSystems(kernel);
    this.#devices = new BlockDeviceNames(kernel);
  }

  /** Number of base pages in memory according to the file; for hugetlb, of huge pages. */
  pages(mapping: bigint): number {
    return this.#mapping.read(mapping).number('nrpages');
  }

  /**
   * @throws {ReadError}; {@link KernelError} `damaged` if it belongs to no file, or its inode has another
   * mapping
   */
  read(mapping: bigint): MappedFile {
    const space = this.#mapping.read(mapping);
    const host = space.pointer('host');
    if (host === 0n) throw damaged(`the mapping at ${hex(mapping)} has no inode`);
    const inode = this.#inode.read(host);
    // For metadata of some file systems, the inode has pages of two kinds.
    const isOwn = this.#own.addressOf(host, 'i_data') === mapping;
    if (inode.pointer('i_mapping') !== mapping && !isOwn) {
      throw damaged(`the inode at ${hex(host)} has another mapping than ${hex(mapping)}`);
    }
    const superBlock = inode.pointer('i_sb');
    const { fsType, device } = this.#systems.of(superBlock);
    const ofDevice = fsType === BLOCK_DEVICES;
    return {
      inode: host,
      number: inode.pointer('i_ino'),
      superBlock,
      fsType,
      device: ofDevice ? deviceNumber(inode.number('i_rdev')) : device,
      blockDevice: ofDevice ? this.#devices.of(host) : undefined,
      size: inode.number('i_size'),
      unlinked: inode.number('i_nlink') === 0,
      mapped: this.#isMapped(mapping, space.pointer('i_mmap')),
      dentries: inode.addressOf('i_dentry'),
    };
  }

  /** @param root root of its tree of mappings: the first word of both rb_root and rb_root_cached */
  #isMapped(mapping: bigint, root: bigint): boolean {
    const leftmost = this.#leftmost?.read(mapping).pointer('i_mmap.rb_leftmost') ?? root;
    const agree = (root === 0n) === (leftmost === 0n) && ((root | leftmost) & 7n) === 0n;
    if (!agree && !this.#live) throw damaged(`the tree of mappings at ${hex(mapping)} is torn`);
    return root !== 0n;
  }
}

/** Low byte of `__bd_flags`, which replaced `bd_partno` (6.10; BD_PARTNO in include/linux/blk_types.h). */
const PARTITION = 0xff;

/** Names block devices by their inodes, as the kernel does in /proc/partitions. */
class BlockDeviceNames {
  readonly #inode;
  readonly #device;
  readonly #partition: 'bd_partno' | '__bd_flags';
  readonly #disk;

  constructor(kernel: Kernel) {
    this.#inode = new StructReader(kernel, 'bdev_inode', ['bdev', 'vfs_inode']);
    const own = kernel.struct('block_device')?.member('bd_partno');
    this.#partition = own ? 'bd_partno' : '__bd_flags';
    this.#device = new StructReader(kernel, 'block_device', ['bd_disk', this.#partition]);
    this.#disk = new StructReader(kernel, 'gendisk', ['disk_name']);
  }

  /** Returns the name of a block device; untrusted. */
  of(inode: bigint): string {
    const both = this.#inode.containerOf(inode, 'vfs_inode');
    const device = this.#device.read(this.#inode.addressOf(both, 'bdev'));
    const number = device.number(this.#partition) & PARTITION;
    const disk = this.#disk.read(device.pointer('bd_disk')).text('disk_name');
    if (number === 0) return disk;
    return `${disk}${/\d$/.test(disk) ? 'p' : ''}${number}`;
  }
}
