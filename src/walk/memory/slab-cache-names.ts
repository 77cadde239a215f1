import { ReadError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { decodeText, StructReader } from '../struct-reader.js';

/** A cache's name has a few dozen bytes; the kernel's longest is below this. */
const MOST_NAME = 128;

/** What a slab cache says of itself (`struct kmem_cache` in mm/slab.h). */
export interface SlabCacheFacts {
  /** As /proc/slabinfo has it; hostile. */
  readonly name: string;
  /** Bytes of an object, and of the slot that it lies in. */
  readonly objectSize: number;
  readonly slotSize: number;
}

/** Reads names and sizes of slab caches. */
export class SlabCacheNames {
  readonly #kernel: Kernel;
  readonly #cache;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#cache = new StructReader(kernel, 'kmem_cache', ['name', 'object_size', 'size']);
  }

  /** @throws {ReadError} */
  of(cache: bigint): SlabCacheFacts {
    const view = this.#cache.read(cache);
    return {
      name: this.#text(view.pointer('name')),
      objectSize: view.number('object_size'),
      slotSize: view.number('size'),
    };
  }

  /** What lies behind the end of a name may be missing. */
  #text(address: bigint): string {
    for (let length = MOST_NAME; ; length /= 2) {
      try {
        return decodeText(readPartOf(this.#kernel, 'a name', address, address, length), 0, length);
      } catch (error) {
        if (!(error instanceof ReadError) || length <= 8) throw error;
      }
    }
  }
}
