import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';

/** The low byte of `__bd_flags`, which took in `bd_partno` (6.10; BD_PARTNO in include/linux/blk_types.h). */
const PARTITION = 0xff;

/** Names block devices as the kernel does in /proc/partitions, by their inodes. */
export class BlockDeviceNames {
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
