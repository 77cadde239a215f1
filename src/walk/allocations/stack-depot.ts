import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { SiteFrame } from '../../records/allocation-sites.js';
import { needSymbol } from '../cpus.js';
import { findOrNot, pointerPartOf, pointersPartOf, readPartOf } from '../named-read.js';
import { slabFlag } from '../slab-flag.js';
import { StructReader } from '../struct-reader.js';

/** A stack trace of the depot. */
export interface DepotStack {
  /** Return addresses, innermost first. */
  readonly addresses: readonly bigint[];
  /** Base pages that page_owner counts at it (since 6.9); undefined: the kernel does not count them. */
  readonly pages: number | undefined;
}

/** Records begin at multiples of this (STACK_ALLOC_ALIGN, DEPOT_STACK_ALIGN in lib/stackdepot.c, 4.6 to 7.2). */
const ALIGN = 2 ** 4;

/** CONFIG_STACKDEPOT_MAX_FRAMES is at most 256. */
const MAX_FRAMES = 256;

/** Number of stacks that are kept: some thousands exist. */
const MAX_KEPT = 2 ** 16;

/** refcount_t of a stack that page_owner does not count (REFCOUNT_SATURATED). */
const SATURATED = 0xc000_0000;

/**
 * Names of the pool number in `union handle_parts`: since 6.9, 6.3 to 6.8, up to 6.2. The first
 * counts from 1, so that no handle is 0.
 */
const INDICES = ['pool_index_plus_1', 'pool_index', 'slabindex'] as const;

/** Arrays of pools, and the variables that limit their use. */
const POOLS = ['stack_pools', 'stack_slabs'] as const;

interface Bits {
  readonly shift: number;
  readonly size: number;
}

const bitsOf = (handle: number, { shift, size }: Bits): number => (handle >>> shift) % 2 ** size;

/** Stack traces that the kernel stores once each, by handle (lib/stackdepot.c). */
export class StackDepot {
  readonly #kernel: Kernel;
  readonly #index: Bits;
  /** Possible numbers of the first pool. */
  readonly #firsts: readonly number[];
  readonly #offset: Bits;
  /** Bits of a handle that the depot itself does not use. */
  readonly #extra: Bits | undefined;
  readonly #record: StructReader<'size' | 'handle.handle'>;
  /** Offset of the addresses in a record. Only as many as it has were allocated. */
  readonly #entries: number;
  readonly #count: StructReader<'count.refs.counter'> | undefined;
  readonly #pools: bigint;
  readonly #most: number;
  readonly #known = new Map<number, DepotStack>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const parts = kernel.struct('handle_parts');
    if (!parts) throw unsupportedLayout('this kernel has no union handle_parts');
    const bits = (name: string): Bits | undefined => {
      const member = parts.member(name);
      return member?.bits && { shift: member.offset * 8 + member.bits.offset, size: member.bits.size };
    };
    const name = INDICES.find((member) => bits(member));
    const [index, offset] = [name && bits(name), bits('offset')];
    if (!index || !offset || parts.size !== 4)
      throw unsupportedLayout(`union handle_parts of this kernel is unsupported; it has ${parts.members.join(', ')}`);
    this.#index = index;
    this.#offset = offset;
    // 6.8.3 and 6.8.4 count from 1 under the old name.
    this.#firsts = name === 'pool_index_plus_1' ? [1] : name === 'pool_index' ? [0, 1] : [0];
    this.#extra = bits('extra');
    this.#record = new StructReader(kernel, 'stack_record', ['size', 'handle.handle']);
    this.#entries = new StructReader(kernel, 'stack_record', ['entries']).offset('entries');
    this.#count = StructReader.ifPresent(kernel, 'stack_record', ['count.refs.counter']);
    const array = POOLS.find((symbol) => kernel.symbol(symbol) !== undefined) ?? POOLS[0];
    const at = needSymbol(kernel, array);
    // An array up to 6.17, then a pointer to one, whose length is a boot parameter.
    this.#pools = kernel.symbol('stack_max_pools') === undefined ? at : pointerPartOf(kernel, array, at, at);
    if (this.#pools === 0n) throw damaged(`${array}: the stack depot has no pools`);
    this.#most = Math.min(2 ** index.size, this.#used() ?? 2 ** index.size);
  }

  /** Number of pools in use: `pools_num` since 6.8; before, the index of the last one. */
  #used(): number | undefined {
    for (const [name, more] of [
      ['pools_num', 0],
      ['pool_index', 1],
      ['depot_index', 1],
    ] as const) {
      const at = findOrNot(() => this.#kernel.symbol(name));
      if (at !== undefined) return readPartOf(this.#kernel, name, at, at, 4).getInt32(0, true) + more;
    }
    return undefined;
  }

  /** @throws {KernelError} `damaged`: the handle names no stack; {@link ReadError} */
  of(handle: number): DepotStack {
    const known = this.#known.get(handle);
    if (known) return known;
    const stack = this.#read(handle);
    if (this.#known.size < MAX_KEPT) this.#known.set(handle, stack);
    return stack;
  }

  #read(handle: number): DepotStack {
    const what = `stack handle ${hex(BigInt(handle))}`;
    let why: unknown;
    for (const first of this.#firsts) {
      try {
        const address = this.#recordOf(handle, what, first);
        const addresses = this.#addressesAt(address, handle, what);
        return { addresses, pages: this.#pagesAt(address) };
      } catch (error) {
        why ??= error;
      }
    }
    throw why;
  }

  /** Address of the record of a handle, which contains that handle. */
  #recordOf(handle: number, what: string, first: number): bigint {
    const index = bitsOf(handle, this.#index) - first;
    if (index < 0 || index >= this.#most)
      throw damaged(`${what} names pool ${index}, but the stack depot has ${this.#most}`);
    const at = this.#pools + BigInt(index * 8);
    const pool = pointerPartOf(this.#kernel, 'the pools of the stack depot', this.#pools, at);
    if (pool === 0n) throw damaged(`${what} names pool ${index}, which does not exist`);
    const address = pool + BigInt(bitsOf(handle, this.#offset) * ALIGN);
    const own = this.#record.read(address).number('handle.handle');
    const extra = this.#extra ? bitsOf(handle, this.#extra) * 2 ** this.#extra.shift : 0;
    if (own !== handle - extra) throw damaged(`${what} leads to a record of handle ${hex(BigInt(own))}`);
    return address;
  }

  #addressesAt(address: bigint, handle: number, what: string): bigint[] {
    const count = this.#record.read(address).number('size');
    const end = bitsOf(handle, this.#offset) * ALIGN + this.#entries + count * 8;
    if (count > MAX_FRAMES || end > 2 ** this.#offset.size * ALIGN)
      throw damaged(`${what} leads to a stack of ${count} functions`);
    const entries = address + BigInt(this.#entries);
    return pointersPartOf(this.#kernel, 'a stack of the depot', address, entries, count);
  }

  /** `stack_record.count` is the number of pages plus 1 (inc_stack_record_count, mm/page_owner.c). */
  #pagesAt(address: bigint): number | undefined {
    const count = this.#count?.read(address).number('count.refs.counter');
    return count === undefined || count === 0 || count >= SATURATED ? undefined : count - 1;
  }
}

const NOTHING: SiteFrame = { symbol: null, offset: null, module: null, line: null, guess: false };

/** Names return addresses as stack frames; the functions of unreadable modules have no names. */
export function siteFrames(kernel: Kernel, addresses: readonly bigint[]): SiteFrame[] {
  return addresses.map((address) => {
    // A return address is behind the call.
    const symbol = findOrNot(() => kernel.symbolAt?.(address - 1n));
    if (!symbol) return NOTHING;
    const { name, offset, module = null } = symbol;
    return { symbol: name, offset: offset + 1, module, line: null, guess: false };
  });
}

/** What SLUB notes about the allocation of an object (`struct track`, mm/slub.c). */
interface SlabTrack {
  /** Return addresses, innermost first; only the caller where the kernel stores no stacks. */
  readonly addresses: readonly bigint[];
  readonly pid: number;
  /** `jiffies` of the allocation. */
  readonly when: bigint;
}

/** Records that SLUB writes behind each object of some caches (`slub_debug=U`, since 6.9 also `slab_debug=U`). */
export class SlabTracks {
  readonly #kernel: Kernel;
  readonly #cache: StructReader<'flags' | 'offset' | 'inuse' | 'list' | 'size' | 'align' | 'red_left_pad'>;
  readonly #track: StructReader<'addr' | 'pid' | 'when'>;
  readonly #handle: StructReader<'handle'> | undefined;
  readonly #addresses: { readonly offset: number; readonly count: number } | undefined;
  readonly #flag: number;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#cache = new StructReader(kernel, 'kmem_cache', [
      'flags',
      'offset',
      'inuse',
      'list',
      'size',
      'align',
      'red_left_pad',
    ]);
    this.#track = new StructReader(kernel, 'track', ['addr', 'pid', 'when']);
    // In the stack depot since 5.18; before, up to 16 addresses in the record itself.
    this.#handle = StructReader.ifPresent(kernel, 'track', ['handle']);
    const array = kernel.struct('track')?.member('addrs');
    if (array && !array.count) throw unsupportedLayout('struct track has an array of addresses without a length');
    this.#addresses = array && { offset: array.offset, count: array.count ?? 0 };
    this.#flag = slabFlag(kernel, '_SLAB_STORE_USER');
  }

  /** Whether SLUB writes them in a cache. */
  isOn(cache: bigint): boolean {
    return Math.floor(this.#cache.read(cache).number('flags') / this.#flag) % 2 === 1;
  }

  /** Addresses of all caches with records. */
  caches(): bigint[] {
    const head = needSymbol(this.#kernel, 'slab_caches');
    return [...this.#cache.entryAddresses(head, 'list')].filter((cache) => {
      this.#checkRoom(cache);
      return this.isOn(cache);
    });
  }

  /**
   * Compares the flag with the size of slots, which have two records only with it (calculate_sizes() in mm/slub.c).
   * KASAN may use that room.
   */
  #checkRoom(cache: bigint): void {
    if (this.#kernel.struct('kmem_cache')?.member('kasan_info')) return;
    const view = this.#cache.read(cache);
    const pad = view.number('red_left_pad');
    const rest = view.number('size') - pad - (pad > 0 ? 8 : 0) - this.#endOf(cache);
    const records = 2 * this.#track.size;
    // Alignment takes less than that.
    const room = this.isOn(cache) ? rest >= records : rest < records || rest < view.number('align');
    if (!room) throw damaged(`the slab cache at ${hex(cache)} has ${rest} bytes for records, unlike its flags`);
  }

  /**
   * The record of an allocated object; undefined: SLUB has written none.
   *
   * @param depot contains the stacks of kernels since 5.18
   */
  of(cache: bigint, object: bigint, depot: () => StackDepot): SlabTrack | undefined {
    const at = object + BigInt(this.#endOf(cache));
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

  readonly #ends = new Map<bigint, number>();

  /** Bytes before the records: of the object, and of the free pointer where that is outside it (get_info_end). */
  #endOf(cache: bigint): number {
    let end = this.#ends.get(cache);
    if (end === undefined) {
      const view = this.#cache.read(cache);
      const [offset, inuse] = [view.number('offset'), view.number('inuse')];
      end = offset >= inuse ? inuse + 8 : inuse;
      this.#ends.set(cache, end);
    }
    return end;
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
