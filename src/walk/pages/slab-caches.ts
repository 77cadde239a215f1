import { damaged, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { numaNodes } from '../cpus.js';
import { pointerPartOf } from '../named-read.js';
import { slabFlag } from '../slab-flag.js';
import { StructReader, textAt } from '../struct-reader.js';

/** A slab cache: one object per cache, created once. */
export interface SlabCache {
  /** Address of its `struct kmem_cache`. */
  readonly address: bigint;
  /** Bytes of a slot (`kmem_cache.size`). */
  readonly slotSize: number;
  /** Bytes of a slot before the object: a red zone (slub_debug=Z). */
  readonly pad: number;
}

const RECIPROCAL = ['reciprocal_size.m', 'reciprocal_size.sh2'] as const;

/** Slab caches of the pages found, by number. */
export class SlabCaches {
  readonly #size;
  /** Extracts of others than debug kernels lack it. */
  readonly #pad: StructReader<'red_left_pad' | 'align' | 'flags'> | undefined;
  readonly #redZone: number;
  /** Multiplier for division by the slot size, which a cache stores since 5.9 (reciprocal_value). */
  readonly #reciprocal: StructReader<(typeof RECIPROCAL)[number]> | undefined;
  readonly #caches: SlabCache[] = [];

  constructor(kernel: Kernel) {
    this.#size = new StructReader(kernel, 'kmem_cache', ['size']);
    this.#pad = StructReader.ifPresent(kernel, 'kmem_cache', ['red_left_pad', 'align', 'flags']);
    this.#redZone = slabFlag(kernel, '_SLAB_RED_ZONE');
    this.#reciprocal = kernel.struct('kmem_cache')?.member('reciprocal_size.m')
      ? new StructReader(kernel, 'kmem_cache', RECIPROCAL)
      : undefined;
  }

  /** The cache of a number from numberOf. */
  at(number: number): SlabCache {
    return this.#caches[number]!;
  }

  /**
   * The number of the cache at an address. Kernels have a few hundred, and socket memory is in a dozen.
   *
   * @throws {ReadError}; {@link KernelError} `damaged` if there is no cache
   */
  numberOf(address: bigint): number {
    const known = this.#caches.findIndex((cache) => cache.address === address);
    if (known >= 0) return known;
    const slotSize = this.#size.read(address).number('size');
    const sound = slotSize >= 8 && slotSize <= 2 ** 26 && slotSize % 8 === 0;
    if (!sound || !this.#isSlotSize(address, slotSize)) {
      throw damaged(`the slab cache at ${hex(address)} claims slots of ${slotSize} bytes`);
    }
    const pad = this.#padOf(address);
    return this.#caches.push({ address, slotSize, pad }) - 1;
  }

  /** A red zone is as long as a word, aligned like objects (calculate_sizes() in mm/slub.c). */
  #padOf(cache: bigint): number {
    const view = readOrNot(() => this.#pad?.read(cache));
    if (view === undefined) return 0;
    const [pad, align] = [view.number('red_left_pad'), view.number('align')];
    const isOn = Math.floor(view.number('flags') / this.#redZone) % 2 === 1;
    if (pad !== (isOn ? Math.max(8, align) : 0))
      throw damaged(`the slab cache at ${hex(cache)} claims a red zone of ${pad} bytes, unlike its flags`);
    return pad;
  }

  #isSlotSize(cache: bigint, size: number): boolean {
    if (!this.#reciprocal) return true;
    const view = this.#reciprocal.read(cache);
    const bits = Math.ceil(Math.log2(size));
    const multiplier = Math.floor((2 ** 32 * (2 ** bits - size)) / size) + 1;
    const shift = Math.max(bits - 1, 0);
    return view.number('reciprocal_size.m') === multiplier && view.number('reciprocal_size.sh2') === shift;
  }
}

/** Order and objects of a slab: `struct kmem_cache_order_objects` stores both in one word (mm/slub.c). */
export interface SlabShape {
  readonly order: number;
  readonly objects: number;
}

/** OO_SHIFT and OO_MASK of mm/slub.c. */
const OBJECTS_BITS = 16;

/** Shapes of a cache's slabs: the regular one, and that of the minimum order (allocate_slab() in mm/slub.c). */
export class SlabShapes {
  readonly #words: StructReader<'oo.x' | 'min.x'> | undefined;

  constructor(kernel: Kernel) {
    this.#words = StructReader.ifPresent(kernel, 'kmem_cache', ['oo.x', 'min.x']);
  }

  /** Undefined if an extract lacks them. */
  of(cache: bigint): readonly SlabShape[] | undefined {
    const view = readOrNot(() => this.#words?.read(cache));
    if (view === undefined) return undefined;
    return [view.number('oo.x'), view.number('min.x')].map((word) => ({
      order: Math.floor(word / 2 ** OBJECTS_BITS),
      objects: word % 2 ** OBJECTS_BITS,
    }));
  }
}

/**
 * Describes a number of objects that slabs of this shape do not have; undefined if there is no contradiction. A KFENCE
 * page is a slab of one object.
 */
export function faultOfCount(
  page: bigint,
  claimed: number,
  shapes: readonly SlabShape[] | undefined,
): string | undefined {
  if (shapes === undefined || claimed === 1 || shapes.some(({ objects }) => objects === claimed)) return undefined;
  const own = new Set(shapes.map(({ objects }) => objects));
  return `the slab at ${hex(page)} claims ${claimed} objects, but slabs of its cache have ${[...own].join(' or ')}`;
}

/** Maximum number of objects of KFENCE (CONFIG_KFENCE_NUM_OBJECTS). */
const MAX_GUARDED = 65_535;

/** The pool of KFENCE, whose pages with an even number are slabs of one object (kfence_init_pool, mm/kfence/core.c). */
export class KfencePool {
  readonly #pageSize: number;
  /** Undefined: unknown. */
  readonly #start: bigint | undefined;

  constructor(kernel: Kernel) {
    this.#pageSize = kernel.facts.pageSize;
    const at = kernel.symbol('__kfence_pool');
    const isBuiltIn = kernel.symbol('__kfence_alloc') !== undefined;
    if (at !== undefined) this.#start = readOrNot(() => pointerPartOf(kernel, '__kfence_pool', at, at));
    else if (!isBuiltIn) this.#start = 0n;
  }

  /** Whether the page at an address may be one of its slabs. */
  mayHave(address: bigint): boolean {
    if (this.#start === undefined) return true;
    const index = Number(address - this.#start) / this.#pageSize;
    return this.#start !== 0n && index >= 2 && index <= 2 * MAX_GUARDED && index % 2 === 0;
  }
}

/**
 * Slab caches of memory cgroups. Up to 5.8 each cgroup has a copy of a cache for its objects
 * (`kmem_cache.memcg_params`, CONFIG_MEMCG_KMEM), and a root cache lists its copies.
 */
export class ChildCaches {
  readonly #root: StructReader<'memcg_params.root_cache'> | undefined;
  readonly #links: StructReader<'memcg_params.children' | 'memcg_params.children_node'> | undefined;
  readonly #group: StructReader<'memcg_params.memcg'> | undefined;

  constructor(kernel: Kernel) {
    if (!kernel.struct('kmem_cache')?.member('memcg_params.root_cache')) return;
    this.#root = new StructReader(kernel, 'kmem_cache', ['memcg_params.root_cache']);
    this.#links = new StructReader(kernel, 'kmem_cache', ['memcg_params.children', 'memcg_params.children_node']);
    this.#group = new StructReader(kernel, 'kmem_cache', ['memcg_params.memcg']);
  }

  /** Whether this kernel has such caches. */
  get exist(): boolean {
    return this.#root !== undefined;
  }

  /** Root cache of a cache, which may be the cache itself. */
  rootOf(cache: bigint): bigint {
    return this.#root?.read(cache).pointer('memcg_params.root_cache') || cache;
  }

  /** The copies of a root cache. */
  *of(root: bigint): Generator<bigint> {
    if (!this.#links) return;
    const head = this.#links.addressOf(root, 'memcg_params.children');
    yield* this.#links.entryAddresses(head, 'memcg_params.children_node');
  }

  /**
   * The `struct mem_cgroup` that all objects of a copy are charged to; 0n for a root cache. @throws
   * {ReadError}
   */
  groupOf(cache: bigint): bigint {
    if (this.rootOf(cache) === cache) return 0n;
    return this.#group?.read(cache).pointer('memcg_params.memcg') ?? 0n;
  }
}

/**
 * Returns the test whether a cache shrinks under memory pressure (SLAB_RECLAIM_ACCOUNT), which throws {@link
 * ReadError}.
 */
export function reclaimTest(kernel: Kernel): (cache: bigint) => boolean {
  const flags = new StructReader(kernel, 'kmem_cache', ['flags']);
  const mask = slabFlag(kernel, '_SLAB_RECLAIM_ACCOUNT');
  return (cache) => (flags.read(cache).number('flags') & mask) !== 0;
}

/** Maximum length of a cache name: it has a few dozen bytes, and the kernel's longest is below this limit. */
const MAX_NAME = 128;

/** Facts about a slab cache (`struct kmem_cache`, mm/slab.h). */
export interface SlabCacheFacts {
  /** Name as in /proc/slabinfo; untrusted. */
  readonly name: string;
  /** Bytes of an object, and of its slot. */
  readonly objectSize: number;
  readonly slotSize: number;
}

/** Reads names and sizes of slab caches. */
export class SlabCacheNames {
  readonly #kernel: Kernel;
  readonly #cache;
  readonly #used: StructReader<'inuse'> | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#cache = new StructReader(kernel, 'kmem_cache', ['name', 'object_size', 'size']);
    this.#used = StructReader.ifPresent(kernel, 'kmem_cache', ['inuse']);
  }

  of(cache: bigint): SlabCacheFacts {
    const view = this.#cache.read(cache);
    const objectSize = view.number('object_size');
    this.#checkSize(cache, objectSize);
    return {
      name: textAt(this.#kernel, 'a name', view.pointer('name'), MAX_NAME),
      objectSize,
      slotSize: view.number('size'),
    };
  }

  /** `inuse` is the size rounded up to a word, and a word more for a red zone (calculate_sizes() in mm/slub.c). */
  #checkSize(cache: bigint, size: number): void {
    const used = readOrNot(() => this.#used?.read(cache).number('inuse'));
    const rounded = Math.ceil(size / 8) * 8;
    if (used !== undefined && used !== rounded && used !== rounded + 8)
      throw damaged(`the slab cache at ${hex(cache)} has objects of ${size} bytes, and ${used} bytes in use of each`);
  }
}

/**
 * Number of slabs that a cache counts, over all NUMA nodes: `kmem_cache_node.nr_slabs`, which exists with
 * CONFIG_SLUB_DEBUG (mm/slub.c). Undefined if the kernel's types lack it.
 */
export function slabsCounted(kernel: Kernel, cache: bigint): number | undefined {
  const node = kernel.struct('kmem_cache_node');
  const layout = kernel.struct('kmem_cache');
  // An array in the cache; since 7.1 an array of pointer pairs after it.
  const pairs = layout?.member('per_node');
  const array = pairs ?? layout?.member('node');
  if (!node?.member('nr_slabs.counter') || !array) return undefined;
  const counter = new StructReader(kernel, 'kmem_cache_node', ['nr_slabs.counter']);
  const stride = pairs ? kernel.struct('kmem_cache_per_node_ptrs')?.size : 8;
  const within = pairs ? kernel.struct('kmem_cache_per_node_ptrs')?.member('node')?.offset : 0;
  if (stride === undefined || within === undefined) return undefined;
  let sum = 0;
  for (let index = 0; index < numaNodes(kernel); index++) {
    const at = cache + BigInt(array.offset + index * stride + within);
    const own = pointerPartOf(kernel, 'struct kmem_cache', cache, at);
    // A node without memory has no struct kmem_cache_node.
    if (own !== 0n) sum += counter.read(own).number('nr_slabs.counter');
  }
  return sum;
}

/**
 * Describes a slab cache with fewer slabs found than it counts, or one that is in no list; undefined if there
 * is none, or if the dump lacks the counters. More slabs may be found than counted: KFENCE pages are slabs
 * too, and the kernel counts a slab only after its creation, and stops before it is freed.
 *
 * @param met number of slabs found in each cache, by the address of its `struct kmem_cache`
 */
export function uncountedSlabs(kernel: Kernel, met: ReadonlyMap<bigint, number>): string | undefined {
  const head = kernel.symbol('slab_caches');
  const reader = StructReader.ifPresent(kernel, 'kmem_cache', ['list']);
  if (head === undefined || !reader) return undefined;
  return readOrNot(() => {
    const all = new Set<bigint>();
    for (const cache of reader.entryAddresses(head, 'list')) {
      const counted = slabsCounted(kernel, cache) ?? 0;
      const slabs = met.get(cache) ?? 0;
      all.add(cache);
      if (slabs < counted) return `the slab cache at ${hex(cache)} counts ${counted} slabs, but ${slabs} were found`;
    }
    const other = [...met.keys()].find((cache) => !all.has(cache));
    if (other === undefined) return undefined;
    return `a slab belongs to the cache at ${hex(other)}, which does not exist`;
  });
}

/** A slab cache for skbs or their heads. */
export interface SkbCache {
  /** Type of its objects: skbs, pairs of them, or small linear heads. */
  readonly kind: 'skbs' | 'skb-fclones' | 'skb-heads';
  /** Address of the `struct kmem_cache`. */
  readonly address: bigint;
  /** Bytes of a slot. */
  readonly size: number;
  /** Whether the allocator merged it with caches of similar size: its objects may then be of any type. */
  readonly merged: boolean;
}

/** Variables that point to the caches, and since 6.9 members of `net_hotdata` (net/core/skbuff.c). */
const POINTERS = [
  ['skbs', ['skbuff_cache', 'skbuff_head_cache']],
  ['skb-fclones', ['skbuff_fclone_cache']],
  ['skb-heads', ['skb_small_head_cache']],
] as const;

/** The skb caches that this kernel has pointers to. */
export function skbCaches(kernel: Kernel): SkbCache[] {
  const reader = new StructReader(kernel, 'kmem_cache', ['size', 'refcount']);
  const caches = POINTERS.flatMap(([kind, names]): SkbCache[] => {
    const pointer = names.map((name) => pointerAt(kernel, name)).find((place) => place);
    if (pointer === undefined) return [];
    const { whole, at, address: from } = pointer;
    const address = pointerPartOf(kernel, whole, at, from);
    // Created at boot, before any device or socket (skb_init).
    if (address === 0n) throw damaged(`${whole} names no cache of ${kind}`);
    const view = reader.read(address);
    return [{ kind, address, size: view.number('size'), merged: view.number('refcount') > 1 }];
  });
  for (const { kind, address, merged } of caches) {
    const other = caches.find((cache) => cache.address === address && cache.kind !== kind);
    if (!other || merged) continue;
    throw damaged(`${kind} and ${other.kind} have one cache, which is not merged`);
  }
  return caches;
}

/** Whether the allocator merged a cache with others, whose objects are of any type then; undefined: unknown. */
export function isMerged(kernel: Kernel, cache: bigint): boolean | undefined {
  const count = StructReader.ifPresent(kernel, 'kmem_cache', ['refcount'])?.read(cache).number('refcount');
  // -1: it is never merged.
  return count === undefined ? undefined : (count | 0) > 1;
}

/** Address of the pointer to a cache, and the variable that is or contains this pointer. */
function pointerAt(kernel: Kernel, name: string) {
  const hot = kernel.symbol('net_hotdata');
  const member = kernel.struct('net_hotdata')?.member(name);
  if (hot !== undefined && member) return { whole: 'net_hotdata', at: hot, address: hot + BigInt(member.offset) };
  const address = kernel.symbol(name);
  return address === undefined ? undefined : { whole: name, at: address, address };
}
