import { categoryOfCaller } from '../../account/memory/areas.js';
import { accountMemory, type MemoryPlaces } from '../../account/memory/memory.js';
import type { CensusEntry } from '../../account/owners.js';
import { KernelError, ReadError, readOrNot } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import type { VmArea } from '../../walk/memory/vm-areas.js';

import type { Block } from '../../walk/pages/block.js';
import { PageReader } from '../../walk/pages/pages.js';
import { SlabCacheNames } from '../../walk/pages/slab-caches.js';
import type { Slab } from '../../walk/pages/slab-scan.js';
import { SlotUse } from '../../walk/pages/slot-use.js';
import { Warnings } from '../../walk/warnings.js';
import type { AllocationType, Survivor } from '../recording.js';
import { type CacheLimits, type Found, type Lookup, placed, placeOfCategory, unplaced } from './lookup.js';

/**
 * Assigns all memory of the machine to categories, and looks each block up there: its socket queue, slab
 * cache, page table, or none.
 *
 * @param kernel this machine; it is read until the last block is looked up
 * @param survivors blocks to look up
 * @param progress called with the completed part, 0 to 1
 * @param limits limits of caches of this machine
 * @throws as accountMemory
 */
export function lookupByKernel(
  kernel: Kernel,
  type: AllocationType,
  survivors: readonly Survivor[],
  progress: (part: number) => void,
  limits: CacheLimits = new Map(),
): Lookup {
  const objects = new Set(type === 'slab' ? survivors.map(({ place }) => place) : []);
  const sockets = new Map<bigint, CensusEntry>();
  let places: MemoryPlaces | undefined;
  const { warnings } = accountMemory(kernel, progress, {
    keepsSlots: objects.size > 0,
    onSocket: (entry, tally) => {
      if (objects.size === 0) return;
      for (const slot of tally.slots()) if (objects.has(slot) && !sockets.has(slot)) sockets.set(slot, entry);
    },
    onPlaces: (lookup) => {
      places = lookup;
    },
  });
  if (!places) throw new TypeError('places must be known before the answer');
  const finder = new BlockFinder(kernel, places, sockets);
  return {
    source: 'kcore',
    unavailable: [],
    limits,
    warnings: warnings.map(({ message }) => message),
    get maybeFree() {
      return finder.maybeFree;
    },
    of: (survivor) => finder.of(type, survivor),
  };
}

/** No slab is larger: MAX_ORDER of mm/slub.c is that of the buddy allocator. */
const MAX_SLAB_FRAMES = 2 ** 10;

/** The part of the frame and area finder that is used here. */
interface KnownPlaces {
  readonly ledger: Pick<MemoryPlaces['ledger'], 'categoryOf'>;
  readonly queues: Pick<MemoryPlaces['queues'], 'entryOf'>;
  readonly areas: Pick<MemoryPlaces['areas'], 'all' | 'isStack' | 'caller'>;
}

/** Looks up single blocks, after all memory was assigned to categories. */
export class BlockFinder {
  /** Number of objects that may be free: they count as held. */
  maybeFree = 0;
  readonly #kernel: Kernel;
  readonly #places: KnownPlaces;
  readonly #sockets: ReadonlyMap<bigint, CensusEntry>;
  readonly #pages: PageReader;
  readonly #names: SlabCacheNames;
  readonly #slots: SlotUse;
  /** Null if the name cannot be read. */
  readonly #cacheNames = new Map<bigint, string | null>();
  readonly #at = new Pointer();
  #slab: { readonly frame: number; readonly slab: Slab } | undefined;
  #areas: ReadonlyMap<bigint, VmArea> | undefined;

  /** @param sockets socket that has an object in its queue, by address of the object */
  constructor(kernel: Kernel, places: KnownPlaces, sockets: ReadonlyMap<bigint, CensusEntry>) {
    this.#kernel = kernel;
    this.#places = places;
    this.#sockets = sockets;
    this.#pages = new PageReader(kernel);
    this.#names = new SlabCacheNames(kernel);
    this.#slots = new SlotUse(kernel, new Warnings());
  }

  of(type: AllocationType, survivor: Survivor): Found {
    try {
      if (type === 'page') return this.#page(survivor);
      return type === 'slab' ? this.#object(survivor) : this.#area(survivor);
    } catch (error) {
      if (error instanceof ReadError || error instanceof KernelError) return unplaced('unreadable');
      throw error;
    }
  }

  #page({ place, order }: Survivor): Found {
    const frame = Number(place);
    const category = this.#places.ledger.categoryOf(frame);
    if (category === undefined) return unplaced('no-such-frame');
    const where = placeOfCategory(category);
    if (where === 'free') return placed(where, category);
    const block = this.#pages.block(this.#kernel.pages.pageOfFrame(frame));
    if (block.kind === 'page' && block.free && where === 'unreferenced') return placed('free', category);
    if (order !== null && !isWithin(block, frame, order)) return placed('reused', category);
    if (block.kind === 'slab') return { ...placed('slab', category), cache: this.#cacheOf(block) };
    const socket = this.#places.queues.entryOf(block.frame) ?? null;
    if (where === 'socket') return { ...placed('socket', category), socket };
    if (block.pool !== undefined) return placed('page-pool', category);
    return placed(where, category);
  }

  #object({ place, bytes }: Survivor): Found {
    const frame = this.#kernel.pages.frameOf(this.#at.set(place));
    const category = frame < 0 ? undefined : this.#places.ledger.categoryOf(frame);
    if (category === undefined) return unplaced('no-such-frame');
    const where = placeOfCategory(category);
    if (where === 'free') return placed(where, category);
    const page = this.#kernel.pages.pageOfFrame(frame);
    const block = this.#pages.block(page);
    const socket = this.#sockets.get(place) ?? this.#places.queues.entryOf(block.frame);
    if (block.kind === 'page') {
      if (socket) return { ...placed('socket', category), socket };
      // A large kmalloc is a separate block that begins with the object.
      return bytes > this.#kernel.facts.pageSize && block.frame === frame
        ? placed(where, category)
        : placed('reused', category);
    }
    const { address, slotSize, pad } = block.cache;
    if (slotSize < bytes || (place - block.start) % BigInt(slotSize) !== BigInt(pad)) return placed('reused', category);
    const slab = this.#slabOf(block.frame, address, slotSize);
    const isInUse = this.#slots.isInUse({ cache: address, object: place, slab });
    if (isInUse === false) return placed('free', category);
    const doubt = isInUse === undefined ? ({ maybeFree: true } as const) : {};
    if (isInUse === undefined) this.maybeFree++;
    if (socket) return { ...placed('socket', category), socket, ...doubt };
    return { ...placed('slab', category), cache: this.#cacheOf(block), ...doubt };
  }

  #area({ place }: Survivor): Found {
    this.#areas ??= new Map([...this.#places.areas.all()].map((area) => [area.address, area] as const));
    const area = this.#areas.get(place);
    if (!area) return placed('free');
    if (this.#places.areas.isStack(area)) return placed('kernel-stack', 'kernel-stacks');
    const category = categoryOfCaller(this.#places.areas.caller(area));
    return placed(placeOfCategory(category), category);
  }

  /** Returns the same object for the same slab, which remembers its free slots. */
  #slabOf(frame: number, cache: bigint, slotSize: number): Slab {
    if (this.#slab?.frame === frame) return this.#slab.slab;
    // Limit for a circular list.
    const objects = Math.ceil((MAX_SLAB_FRAMES * this.#kernel.facts.pageSize) / slotSize);
    const slab = { page: this.#kernel.pages.pageOfFrame(frame), cache, objects };
    this.#slab = { frame, slab };
    return slab;
  }

  #cacheOf({ cache }: Extract<Block, { kind: 'slab' }>): string | null {
    const known = this.#cacheNames.get(cache.address);
    if (known !== undefined) return known;
    const name = readOrNot(() => this.#names.of(cache.address).name) ?? null;
    this.#cacheNames.set(cache.address, name);
    return name;
  }
}

/** Whether the current block is within the recorded one, which may have been split but cannot have grown. */
function isWithin(block: Block, frame: number, order: number): boolean {
  const size = 2 ** order;
  const start = Math.floor(frame / size) * size;
  const pages = block.kind === 'page' ? 2 ** (block.order ?? 0) : 1;
  return block.frame >= start && block.frame + pages <= start + size;
}
