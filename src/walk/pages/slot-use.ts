import { damaged, KernelError } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readUntilConsistent } from '../live-reads.js';
import { readOrNot } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { FreeList, sheavesOf } from './free-objects.js';
import type { Slab, Slot } from './slab-scan.js';
import { onCpuLists } from './slab-usage.js';

/** State of the slots of one slab. */
interface SlabState {
  /** Objects on its freelist; undefined if it cannot be read. */
  readonly free: ReadonlySet<bigint> | undefined;
  /**
   * Whether its objects may be on per-CPU free lists; if false, all objects outside its freelist are in use.
   */
  readonly mayBeOnCpuLists: boolean;
}

/**
 * Determines which slots are allocated, from the free lists (mm/slub.c): those of each slab, and those of
 * CPUs. A corrupt list causes a warning.
 */
export class SlotUse {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #slab: StructReader<'freelist'> | undefined;
  readonly #counters: StructReader<'inuse' | 'objects' | 'frozen'> | undefined;
  /** Free lists by cache; undefined if not available. */
  readonly #lists = new Map<bigint, FreeList | undefined>();
  readonly #cpuFree = new Map<bigint, ReadonlySet<bigint> | undefined>();
  /** The slab of the last call. */
  #last: { readonly slab: Slab; readonly state: SlabState } | undefined;

  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    const type = ['slab', 'page'].find((name) => kernel.struct(name)?.member('freelist'));
    this.#slab = type === undefined ? undefined : new StructReader(kernel, type, ['freelist']);
    const counters = ['inuse', 'objects', 'frozen'] as const;
    const cache = kernel.struct('kmem_cache');
    // Objects in sheaves count as in use, regardless of their slab.
    const hasCounters =
      type !== undefined &&
      counters.every((name) => kernel.struct(type)?.member(name)) &&
      cache?.member('cpu_slab') &&
      !cache.member('cpu_sheaves');
    this.#counters = hasCounters ? new StructReader(kernel, type, counters) : undefined;
  }

  /** Undefined if the lists are not in the dump, damaged, or change too fast to be read. */
  isInUse({ object, slab }: Slot): boolean | undefined {
    const { cache } = slab;
    if (this.#last?.slab !== slab) this.#last = { slab, state: this.#stateOf(slab, cache) };
    const { free, mayBeOnCpuLists } = this.#last.state;
    if (free === undefined || free.has(object)) return free && false;
    if (!mayBeOnCpuLists) return true;
    const waiting = this.#known(this.#cpuFree, cache, () => new Set(this.#cpuFreeOf(cache)));
    return waiting && !waiting.has(object);
  }

  #stateOf({ page, objects }: Slab, cache: bigint): SlabState {
    const reader = this.#slab;
    const unknown = { free: undefined, mayBeOnCpuLists: true };
    if (!reader) return unknown;
    return (
      this.#orWarn(() =>
        readUntilConsistent(this.#kernel, () => {
          const unused = this.#unusedOf(page);
          const first = reader.read(page).pointer('freelist');
          const mayBeOnCpuLists = unused === undefined;
          if (unused === 0 && first === 0n) return { free: new Set<bigint>(), mayBeOnCpuLists };
          const list = this.#known(this.#lists, cache, () => new FreeList(this.#kernel, cache));
          if (!list) return unknown;
          const free = new Set(list.from(first, objects, `the slab at ${hex(page)}`));
          if (unused !== undefined && unused !== free.size)
            throw damaged(
              `the slab at ${hex(page)} counts ${unused} free objects, but its freelist has ${free.size}`,
            );
          return { free, mayBeOnCpuLists };
        }),
      ) ?? unknown
    );
  }

  /**
   * Number of free objects by the slab's counter; undefined if it has none, or the slab is a CPU's current one, whose
   * allocations and frees bypass the counter.
   */
  #unusedOf(page: bigint): number | undefined {
    const view = readOrNot(() => this.#counters?.read(page));
    if (view === undefined || view.number('frozen') !== 0) return undefined;
    const [inUse, objects] = [view.number('inuse'), view.number('objects')];
    if (inUse <= objects) return objects - inUse;
    throw damaged(`the slab at ${hex(page)} has more objects in use than it contains`);
  }

  *#cpuFreeOf(cache: bigint): Generator<bigint> {
    const layout = this.#kernel.struct('kmem_cache');
    if (layout?.member('cpu_slab')) yield* onCpuLists(this.#kernel, cache);
    if (!layout?.member('cpu_sheaves')) return;
    for (const sheaf of sheavesOf(this.#kernel, cache)) yield* sheaf.objects();
  }

  #known<T>(known: Map<bigint, T | undefined>, cache: bigint, read: () => T): T | undefined {
    if (!known.has(cache)) known.set(cache, this.#orWarn(read));
    return known.get(cache);
  }

  #orWarn<T>(read: () => T): T | undefined {
    try {
      return readOrNot(read);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'damaged') this.#warnings.add('corrupt', error.message);
      return undefined;
    }
  }
}
