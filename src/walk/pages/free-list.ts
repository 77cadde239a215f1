import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** Goes through free objects of one slab cache: each holds the next one's address, perhaps scrambled. */
export class FreeList {
  readonly #kernel: Kernel;
  readonly #offset: bigint;
  readonly #random: bigint | undefined;

  /** @throws {KernelError} `unsupported-layout`; {@link ReadError} */
  constructor(kernel: Kernel, cache: bigint) {
    this.#kernel = kernel;
    const reader = new StructReader(kernel, 'kmem_cache', ['offset']);
    this.#offset = BigInt(reader.read(cache).number('offset'));
    const random = kernel.struct('kmem_cache')?.member('random');
    this.#random =
      random && pointerPartOf(kernel, 'struct kmem_cache', cache, cache + BigInt(random.offset));
  }

  /**
   * From one object to the last.
   *
   * @param most as many as there can be
   * @param whose whose list it is, for the error
   * @throws {KernelError} `damaged` where it leads out of memory or has no end; {@link ReadError}
   */
  *from(first: bigint, most: number, whose: string): Generator<bigint> {
    let count = 0;
    for (let object = first; object !== 0n; object = this.#next(object)) {
      if (++count > most || this.#kernel.pages.pageOf(object) === undefined) {
        throw new KernelError('damaged', `the free list of ${whose} leads to ${hex(object)}`);
      }
      yield object;
    }
  }

  /**
   * freelist_ptr (mm/slub.c): CONFIG_SLAB_FREELIST_HARDENED, with the address's bytes swapped since 5.7 and in
   * stable series before. No member tells which; only one of both gives the end or an address of memory.
   */
  #next(object: bigint): bigint {
    const at = object + this.#offset;
    const stored = pointerPartOf(this.#kernel, 'the free object', object, at);
    if (this.#random === undefined) return stored;
    const swapped = stored ^ this.#random ^ swapBytes(at);
    const plain = stored ^ this.#random ^ at;
    return !this.#isObject(swapped) && this.#isObject(plain) ? plain : swapped;
  }

  #isObject(address: bigint): boolean {
    return address === 0n || this.#kernel.pages.pageOf(address) !== undefined;
  }
}

function swapBytes(value: bigint): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value, true);
  return view.getBigUint64(0, false);
}
