import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import { deviceNumber, FileSystems } from './file-systems.js';

/** What the kernel says of a file that has pages in memory. */
export interface MappedFile {
  /** Address of its `struct inode`. */
  readonly inode: bigint;
  /** Its number; NFS and others use all 64 bits. */
  readonly number: bigint;
  /** Address of its `struct super_block`. */
  readonly superBlock: bigint;
  /** Such as `ext4`; hostile. */
  readonly fsType: string;
  /** `major:minor` of what its file system lies on, of a block device of itself. */
  readonly device: string;
  /** The name of a block device, such as `sda1`; hostile. Undefined: it is none. */
  readonly blockDevice: string | undefined;
  /** Bytes that reading it would give. */
  readonly size: number;
  /** Nobody has a name for it any more. */
  readonly unlinked: boolean;
  /** Some process has it mapped. */
  readonly mapped: boolean;
  /** Where its list of dentries begins. */
  readonly dentries: bigint;
}

/** The file system of all block devices. */
const BLOCK_DEVICES = 'bdev';

/** Reads files by the `struct address_space` that their pages name. */
export class MappedFileReader {
  readonly #mapping;
  readonly #leftmost: StructReader<'i_mmap.rb_leftmost'> | undefined;
  readonly #live: boolean;
  readonly #inode;
  readonly #own: bigint;
  readonly #systems: FileSystems;
  readonly #devices: BlockDeviceNames;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#mapping = new StructReader(kernel, 'address_space', ['host', 'i_mmap', 'nrpages']);
    // rb_root_cached since 4.14.
    this.#leftmost = kernel.struct('address_space')?.member('i_mmap.rb_leftmost')
      ? new StructReader(kernel, 'address_space', ['i_mmap.rb_leftmost'])
      : undefined;
    this.#live = kernel.facts.live;
    this.#inode = new StructReader(kernel, 'inode', [
      ...(['i_sb', 'i_mapping', 'i_ino', 'i_nlink', 'i_rdev', 'i_size', 'i_dentry'] as const),
    ]);
    this.#own = BigInt(new StructReader(kernel, 'inode', ['i_data']).offset('i_data'));
    this.#systems = new FileSystems(kernel);
    this.#devices = new BlockDeviceNames(kernel);
  }

  /** How many base pages the file says it has in memory; of hugetlb huge ones. @throws {ReadError} */
  pages(mapping: bigint): number {
    return this.#mapping.read(mapping).number('nrpages');
  }

  /** @throws {ReadError}; {@link KernelError} `damaged` if it leads to no file, or to another's */
  read(mapping: bigint): MappedFile {
    const space = this.#mapping.read(mapping);
    const host = space.pointer('host');
    if (host === 0n)
      throw new KernelError('damaged', `the mapping at ${hex(mapping)} has no inode`);
    const inode = this.#inode.read(host);
    // Of some file systems' metadata the inode has pages of two kinds.
    if (inode.pointer('i_mapping') !== mapping && host + this.#own !== mapping) {
      throw new KernelError(
        'damaged',
        `the inode at ${hex(host)} has another mapping than ${hex(mapping)}`,
      );
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

  /** @param root its tree of mappings: the first word of both rb_root and rb_root_cached */
  #isMapped(mapping: bigint, root: bigint): boolean {
    const leftmost = this.#leftmost?.read(mapping).pointer('i_mmap.rb_leftmost') ?? root;
    const agree = (root === 0n) === (leftmost === 0n) && ((root | leftmost) & 7n) === 0n;
    if (!agree && !this.#live)
      throw new KernelError('damaged', `the tree of mappings at ${hex(mapping)} is torn`);
    return root !== 0n;
  }
}

/** The low byte of `__bd_flags`, which took in `bd_partno` (6.10; BD_PARTNO in include/linux/blk_types.h). */
const PARTITION = 0xff;

/** Names block devices as the kernel does in /proc/partitions, by their inodes. */
class BlockDeviceNames {
  readonly #toDevice: bigint;
  readonly #device;
  readonly #partition: 'bd_partno' | '__bd_flags';
  readonly #disk;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    const both = new StructReader(kernel, 'bdev_inode', ['bdev', 'vfs_inode']);
    this.#toDevice = BigInt(both.offset('bdev') - both.offset('vfs_inode'));
    const own = kernel.struct('block_device')?.member('bd_partno');
    this.#partition = own ? 'bd_partno' : '__bd_flags';
    this.#device = new StructReader(kernel, 'block_device', ['bd_disk', this.#partition]);
    this.#disk = new StructReader(kernel, 'gendisk', ['disk_name']);
  }

  /** Hostile. @throws {ReadError} */
  of(inode: bigint): string {
    const device = this.#device.read(inode + this.#toDevice);
    const number = device.number(this.#partition) & PARTITION;
    const disk = this.#disk.read(device.pointer('bd_disk')).text('disk_name');
    if (number === 0) return disk;
    return `${disk}${/\d$/.test(disk) ? 'p' : ''}${number}`;
  }
}
