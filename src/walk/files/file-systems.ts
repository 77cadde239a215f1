import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import { textAt } from '../text-at.js';

/** Facts about a file system from its `struct super_block`. */
export interface FileSystemFacts {
  /** Such as `ext4`; untrusted. */
  readonly fsType: string;
  /** `major:minor` of its device; tmpfs and the like have a number of their own. */
  readonly device: string;
}

/** Names of file system types are short. */
const MOST_NAME = 64;

/** Reads file systems by super block, each once. */
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

/** Formats a device number as `ls -l` and /proc do (MINORBITS in include/linux/kdev_t.h). */
export function deviceNumber(device: number): string {
  return `${device >>> 20}:${device & 0xf_ffff}`;
}
