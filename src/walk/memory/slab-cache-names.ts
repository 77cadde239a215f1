import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import { textAt } from '../text-at.js';

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
      name: textAt(this.#kernel, 'a name', view.pointer('name'), MOST_NAME),
      objectSize: view.number('object_size'),
      slotSize: view.number('size'),
    };
  }
}
