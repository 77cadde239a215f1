import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import { textAt } from '../text-at.js';

/** What a `struct super_block` says of its file system. */
export interface FileSystemFacts {
  /** Such as `ext4`; hostile. */
  readonly fsType: string;
  /** `major:minor` of what it lies on; of tmpfs and such a number of its own. */
  readonly device: string;
}

/** A type's name has a few bytes. */
const MOST_NAME = 64;

/** Tells file systems by their super blocks, each read once. */
export class FileSystems {
  readonly #kernel: Kernel;
  readonly #superBlock;
  readonly #type;
  readonly #known = new Map<bigint, FileSystemFacts>();

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#superBlock = new StructReader(kernel, 'super_block', ['s_type', 's_dev']);
    this.#type = new StructReader(kernel, 'file_system_type', ['name']);
  }

  /** @throws {ReadError} */
  of(superBlock: bigint): FileSystemFacts {
    const known = this.#known.get(superBlock);
    if (known) return known;
    const view = this.#superBlock.read(superBlock);
    const name = this.#type.read(view.pointer('s_type')).pointer('name');
    const facts = {
      fsType: textAt(this.#kernel, 'the name of a file system', name, MOST_NAME),
      device: deviceNumber(view.number('s_dev')),
    };
    this.#known.set(superBlock, facts);
    return facts;
  }
}

/** As `ls -l` and /proc show it (MINORBITS in include/linux/kdev_t.h). */
export function deviceNumber(device: number): string {
  return `${device >>> 20}:${device & 0xf_ffff}`;
}
