import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';

/** A slab cache: one object for each, made once. */
export interface SlabCache {
  /** Address of its `struct kmem_cache`. */
  readonly address: bigint;
  /** Bytes of a slot (`kmem_cache.size`). */
  readonly slotSize: number;
}

const RECIPROCAL = ['reciprocal_size.m', 'reciprocal_size.sh2'] as const;

/** The slab caches that pages were met of, by numbers of their own. */
export class SlabCaches {
  readonly #size;
  /** Since 5.9 a cache keeps its slots' size in a second form, to divide by it (reciprocal_value). */
  readonly #reciprocal: StructReader<(typeof RECIPROCAL)[number]> | undefined;
  readonly #caches: SlabCache[] = [];

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#size = new StructReader(kernel, 'kmem_cache', ['size']);
    this.#reciprocal = kernel.struct('kmem_cache')?.member('reciprocal_size.m')
      ? new StructReader(kernel, 'kmem_cache', RECIPROCAL)
      : undefined;
  }

  /** The cache of a number that numberOf gave. */
  at(number: number): SlabCache {
    return this.#caches[number]!;
  }

  /**
   * The number of the cache at an address. Kernels have a few hundred, and sockets' memory lies in a
   * dozen.
   *
   * @throws {ReadError}; {@link KernelError} `damaged` if no cache is there
   */
  numberOf(address: bigint): number {
    const known = this.#caches.findIndex((cache) => cache.address === address);
    if (known >= 0) return known;
    const slotSize = this.#size.read(address).number('size');
    const sound = slotSize >= 8 && slotSize <= 2 ** 26 && slotSize % 8 === 0;
    if (!sound || !this.#isSlotSize(address, slotSize)) {
      throw new KernelError(
        'damaged',
        `the slab cache at ${hex(address)} claims slots of ${slotSize} bytes`,
      );
    }
    return this.#caches.push({ address, slotSize }) - 1;
  }

  #isSlotSize(cache: bigint, size: number): boolean {
    if (!this.#reciprocal) return true;
    const view = this.#reciprocal.read(cache);
    const bits = Math.ceil(Math.log2(size));
    const multiplier = Math.floor((2 ** 32 * (2 ** bits - size)) / size) + 1;
    const shift = Math.max(bits - 1, 0);
    return (
      view.number('reciprocal_size.m') === multiplier &&
      view.number('reciprocal_size.sh2') === shift
    );
  }
}
