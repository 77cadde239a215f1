import { unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { pointersPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { StackDepot } from './stack-depot.js';

/** What SLUB notes about the allocation of an object (`struct track`, mm/slub.c). */
export interface SlabTrack {
  /** Return addresses, innermost first; only the caller where the kernel stores no stacks. */
  readonly addresses: readonly bigint[];
  readonly pid: number;
  /** `jiffies` of the allocation. */
  readonly when: bigint;
}

/** SLAB_STORE_USER of kernels without an enum for slab flags (before 6.9). */
const STORE_USER = 0x1_0000;

/** Records that SLUB writes behind each object of some caches (`slub_debug=U`, since 6.9 also `slab_debug=U`). */
export class SlabTracks {
  readonly #kernel: Kernel;
  readonly #cache: StructReader<'flags' | 'offset' | 'inuse' | 'list'>;
  readonly #track: StructReader<'addr' | 'pid' | 'when'>;
  readonly #handle: StructReader<'handle'> | undefined;
  readonly #addresses: { readonly offset: number; readonly count: number } | undefined;
  readonly #flag: number;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#cache = new StructReader(kernel, 'kmem_cache', ['flags', 'offset', 'inuse', 'list']);
    this.#track = new StructReader(kernel, 'track', ['addr', 'pid', 'when']);
    // In the stack depot since 5.18; before, up to 16 addresses in the record itself.
    this.#handle = StructReader.ifPresent(kernel, 'track', ['handle']);
    const array = kernel.struct('track')?.member('addrs');
    if (array && !array.count)
      throw unsupportedLayout('struct track has an array of addresses without a length');
    this.#addresses = array && { offset: array.offset, count: array.count ?? 0 };
    const bit = kernel.enumerators('_slab_flag_bits')?.get('_SLAB_STORE_USER');
    this.#flag = bit === undefined ? STORE_USER : 2 ** Number(bit);
  }

  /** Whether SLUB writes them in a cache. @throws {ReadError} */
  isOn(cache: bigint): boolean {
    return Math.floor(this.#cache.read(cache).number('flags') / this.#flag) % 2 === 1;
  }

  /** Addresses of all caches with records. @throws {KernelError} `no-symbols`; {@link TornList}; {@link ReadError} */
  caches(): bigint[] {
    const head = needSymbol(this.#kernel, 'slab_caches');
    return [...this.#cache.entryAddresses(head, 'list')].filter((cache) => this.isOn(cache));
  }

  /**
   * The record of an allocated object; undefined: SLUB has written none.
   *
   * @param depot contains the stacks of kernels since 5.18
   * @throws {KernelError} `damaged`; {@link ReadError}
   */
  of(cache: bigint, object: bigint, depot: () => StackDepot): SlabTrack | undefined {
    const { offset, inuse } = this.#shapeOf(cache);
    // Behind the object, and behind the free pointer where that is outside it (get_info_end).
    const at = object + BigInt(offset >= inuse ? inuse + 8 : inuse);
    const view = this.#track.read(at);
    const caller = view.pointer('addr');
    if (caller === 0n) return undefined;
    const addresses = this.#stackAt(at, depot);
    return {
      addresses: addresses.length > 0 ? addresses : [caller],
      pid: view.number('pid'),
      when: view.pointer('when'),
    };
  }

  readonly #shapes = new Map<bigint, { readonly offset: number; readonly inuse: number }>();

  #shapeOf(cache: bigint): { readonly offset: number; readonly inuse: number } {
    let shape = this.#shapes.get(cache);
    if (!shape) {
      const view = this.#cache.read(cache);
      shape = { offset: view.number('offset'), inuse: view.number('inuse') };
      this.#shapes.set(cache, shape);
    }
    return shape;
  }

  #stackAt(at: bigint, depot: () => StackDepot): readonly bigint[] {
    if (this.#addresses) {
      const { offset, count } = this.#addresses;
      const start = at + BigInt(offset);
      const all = pointersPartOf(this.#kernel, 'struct track', at, start, count);
      const end = all.indexOf(0n);
      return end < 0 ? all : all.slice(0, end);
    }
    const handle = this.#handle?.read(at).number('handle') ?? 0;
    return handle === 0 ? [] : depot().of(handle).addresses;
  }
}
