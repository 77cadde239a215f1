import { KernelError } from '../../kernel/error.js';
import { hex } from '../../kernel/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { FreeList } from './free-list.js';
import { sheavesOf } from './sheaves.js';
import type { Slab, Slot } from './slab-scan.js';
import { onCpuLists } from './slab-usage.js';

/** How the allocator scrambles its lists, and what waits in those of the CPUs. */
interface CacheLists {
  readonly list: FreeList;
  readonly waiting: ReadonlySet<bigint>;
}

/**
 * Which slots the allocator has given out, by its lists of free ones (mm/slub.c): each slab's own, and
 * what CPUs keep. A list that leads nowhere is a warning.
 */
export class SlotUse {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #slab: StructReader<'freelist'> | undefined;
  /** Undefined: they cannot be had. */
  readonly #caches = new Map<bigint, CacheLists | undefined>();
  /** Free slots of the slab that was asked about last; undefined: its list cannot be had. */
  #last: { readonly slab: Slab; readonly free: ReadonlySet<bigint> | undefined } | undefined;

  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    const type = ['slab', 'page'].find((name) => kernel.struct(name)?.member('freelist'));
    this.#slab = type === undefined ? undefined : new StructReader(kernel, type, ['freelist']);
  }

  /** Undefined where the lists are not in the dump, or damaged. */
  isInUse({ cache, object, slab }: Slot): boolean | undefined {
    const lists = this.#listsOf(cache);
    if (!lists) return undefined;
    if (this.#last?.slab !== slab) this.#last = { slab, free: this.#freeOf(slab, lists) };
    const { free } = this.#last;
    return free && !free.has(object) && !lists.waiting.has(object);
  }

  #freeOf({ page, objects }: Slab, { list }: CacheLists): ReadonlySet<bigint> | undefined {
    const reader = this.#slab;
    return (
      reader &&
      this.#told(() => {
        const first = reader.read(page).pointer('freelist');
        return new Set(list.from(first, objects, `the slab at ${hex(page)}`));
      })
    );
  }

  #listsOf(cache: bigint): CacheLists | undefined {
    if (!this.#caches.has(cache)) {
      const lists = this.#told(() => ({
        list: new FreeList(this.#kernel, cache),
        waiting: new Set(this.#waiting(cache)),
      }));
      this.#caches.set(cache, lists);
    }
    return this.#caches.get(cache);
  }

  *#waiting(cache: bigint): Generator<bigint> {
    const layout = this.#kernel.struct('kmem_cache');
    if (layout?.member('cpu_slab')) yield* onCpuLists(this.#kernel, cache);
    if (!layout?.member('cpu_sheaves')) return;
    for (const sheaf of sheavesOf(this.#kernel, cache)) yield* sheaf.objects();
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
