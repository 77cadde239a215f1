import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { again } from '../again.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { FreeList } from './free-list.js';
import { sheavesOf } from './sheaves.js';
import type { Slab, Slot } from './slab-scan.js';
import { onCpuLists } from './slab-usage.js';

/** What is known of the slots of one slab. */
interface SlabState {
  /** In its freelist; undefined: it cannot be read. */
  readonly free: ReadonlySet<bigint> | undefined;
  /** Objects of it may wait in lists of the CPUs; false: whatever its own freelist lacks is in use. */
  readonly mayWait: boolean;
}

/**
 * Which slots the allocator has given out, by its lists of free ones (mm/slub.c): each slab's own, and
 * what CPUs keep. A list that leads nowhere is a warning.
 */
export class SlotUse {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #slab: StructReader<'freelist'> | undefined;
  readonly #counters: StructReader<'inuse' | 'objects' | 'frozen'> | undefined;
  /** Undefined: it cannot be had. */
  readonly #lists = new Map<bigint, FreeList | undefined>();
  readonly #waiting = new Map<bigint, ReadonlySet<bigint> | undefined>();
  /** The slab that was asked about last. */
  #last: { readonly slab: Slab; readonly state: SlabState } | undefined;

  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    const type = ['slab', 'page'].find((name) => kernel.struct(name)?.member('freelist'));
    this.#slab = type === undefined ? undefined : new StructReader(kernel, type, ['freelist']);
    const counters = ['inuse', 'objects', 'frozen'] as const;
    const cache = kernel.struct('kmem_cache');
    // Objects in sheaves count as in use, whatever their slab is.
    const tell =
      type !== undefined &&
      counters.every((name) => kernel.struct(type)?.member(name)) &&
      cache?.member('cpu_slab') &&
      !cache.member('cpu_sheaves');
    this.#counters = tell ? new StructReader(kernel, type, counters) : undefined;
  }

  /** Undefined where the lists are not in the dump, damaged, or change too fast to be read. */
  isInUse({ object, slab }: Slot): boolean | undefined {
    const { cache } = slab;
    if (this.#last?.slab !== slab) this.#last = { slab, state: this.#stateOf(slab, cache) };
    const { free, mayWait } = this.#last.state;
    if (free === undefined || free.has(object)) return free && false;
    if (!mayWait) return true;
    const waiting = this.#known(this.#waiting, cache, () => new Set(this.#waitingOf(cache)));
    return waiting && !waiting.has(object);
  }

  #stateOf({ page, objects }: Slab, cache: bigint): SlabState {
    const reader = this.#slab;
    const unknown = { free: undefined, mayWait: true };
    if (!reader) return unknown;
    return (
      this.#told(() =>
        again(this.#kernel, () => {
          const unused = this.#unusedOf(page);
          const first = reader.read(page).pointer('freelist');
          const mayWait = unused === undefined;
          if (unused === 0 && first === 0n) return { free: new Set<bigint>(), mayWait };
          const list = this.#known(this.#lists, cache, () => new FreeList(this.#kernel, cache));
          if (!list) return unknown;
          const free = new Set(list.from(first, objects, `the slab at ${hex(page)}`));
          if (unused !== undefined && unused !== free.size)
            throw new KernelError(
              'damaged',
              `the slab at ${hex(page)} counts ${unused} free objects, and its freelist has ${free.size}`,
            );
          return { free, mayWait };
        }),
      ) ?? unknown
    );
  }

  /**
   * Objects that a slab counts as not in use; undefined: it does not tell, or the slab is a CPU's current one, which
   * allocations and frees go past.
   */
  #unusedOf(page: bigint): number | undefined {
    const view = readOrNot(() => this.#counters?.read(page));
    if (view === undefined || view.number('frozen') !== 0) return undefined;
    const [inUse, objects] = [view.number('inuse'), view.number('objects')];
    if (inUse <= objects) return objects - inUse;
    throw new KernelError(
      'damaged',
      `the slab at ${hex(page)} has more objects in use than it has`,
    );
  }

  *#waitingOf(cache: bigint): Generator<bigint> {
    const layout = this.#kernel.struct('kmem_cache');
    if (layout?.member('cpu_slab')) yield* onCpuLists(this.#kernel, cache);
    if (!layout?.member('cpu_sheaves')) return;
    for (const sheaf of sheavesOf(this.#kernel, cache)) yield* sheaf.objects();
  }

  #known<T>(known: Map<bigint, T | undefined>, cache: bigint, read: () => T): T | undefined {
    if (!known.has(cache)) known.set(cache, this.#told(read));
    return known.get(cache);
  }

  #told<T>(read: () => T): T | undefined {
    try {
      return readOrNot(read);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'damaged') this.#warnings.add('corrupt', error.message);
      return undefined;
    }
  }
}
