import { alignedBlock } from '../../walk/memory/aligned-block.js';
import type { FrameMap } from '../../walk/memory/frame-map.js';
import { KIND, KINDS, type PageKind } from '../../walk/memory/page-kinds.js';
import { CATEGORIES, type CategoryName, categoryFacts, categoryNumber } from './categories.js';

/** Frames that a walk led to and that are not in its category, by where they are. */
export interface Elsewhere {
  /** The category that has them. */
  readonly category: CategoryName;
  readonly frames: number;
}

const NONE = 0;

/**
 * Puts every page frame of a machine into exactly one category. Walks claim frames; the first that takes
 * one has it; the rest goes by what the `struct page`s say.
 */
export class FrameLedger {
  readonly #frames: FrameMap;
  readonly #kinds: Uint8Array;
  /** Of each frame the number of its category in CATEGORIES, plus 1. */
  readonly #categories: Uint8Array;
  /** Frames in each category, as long as none is claimed. */
  #sums: ReadonlyMap<CategoryName, number> | undefined;
  /** By category, then by owner: frames. */
  readonly #owners = new Map<CategoryName, Map<string, number>>();
  /** By the category that claimed, what it was led to that others have: frames by category. */
  readonly #elsewhere = new Map<CategoryName, Map<number, number>>();
  /** Frames that a walk was led to and that are free, by the category that claimed. */
  readonly #free = new Map<CategoryName, number>();
  /** The same, and that are no RAM. */
  readonly #outside = new Map<CategoryName, number>();

  constructor(frames: FrameMap, kinds: Uint8Array) {
    this.#frames = frames;
    this.#kinds = kinds;
    this.#categories = new Uint8Array(frames.size);
  }

  /** How many frames there are. */
  get size(): number {
    return this.#frames.size;
  }

  /**
   * Claims a frame for a category.
   *
   * @param owner whoever would have to let go of it, as the category names owners
   * @returns whether the category has it now, and had it not before
   */
  claim(category: CategoryName, frame: number, owner?: string): boolean {
    const index = this.#frames.indexOf(frame);
    if (index < 0) {
      add(this.#outside, category, 1);
      return false;
    }
    const number = categoryNumber(category);
    const present = this.#categories[index]!;
    if (present === number) return false;
    const kind = KINDS[this.#kinds[index]!]!;
    if (present === NONE && categoryFacts(category).takes?.includes(kind)) {
      this.#categories[index] = number;
      this.#sums = undefined;
      if (owner !== undefined) add(within(this.#owners, category), owner, 1);
      return true;
    }
    if (present === NONE ? kind === 'free' : CATEGORIES[present - 1] === 'free-cpu-lists') {
      add(this.#free, category, 1);
    }
    if (present === NONE && categoryFacts(category).kinds?.includes(kind)) return false;
    const from = present === NONE ? -this.#kinds[index]! : present;
    add(within(this.#elsewhere, category), from, 1);
    return false;
  }

  /** Claims the frames of an allocation. */
  claimBlock(category: CategoryName, frame: number, order: number, owner?: string): number {
    let taken = 0;
    for (let at = 0; at < 2 ** order; at++) if (this.claim(category, frame + at, owner)) taken++;
    return taken;
  }

  /** Puts what no walk claimed into the category of its kind: every frame is in one then. */
  close(): void {
    this.#sums = undefined;
    this.#closeBlocks();
    const byKind = new Uint8Array(KINDS.length);
    CATEGORIES.forEach((category, index) => {
      for (const kind of categoryFacts(category).kinds ?? []) byKind[KIND[kind]] = index + 1;
    });
    for (let index = 0; index < this.#categories.length; index++)
      if (this.#categories[index] === NONE) this.#categories[index] = byKind[this.#kinds[index]!]!;
  }

  /**
   * A frame without references that is in nobody's free list belongs to the block that begins before it:
   * only the first page of a block has a count, if it is no compound page. Blocks of the buddy allocator
   * are aligned to their size.
   */
  #closeBlocks(): void {
    let [head, end, category] = [-1, -1, NONE];
    let index = 0;
    for (const { start, end: last } of this.#frames.ranges) {
      for (let frame = start; frame < last; frame++, index++) {
        const kind = this.#kinds[index];
        if (kind !== KIND.unreferenced) {
          head = kind === KIND.held ? frame : -1;
          end = head < 0 ? -1 : frame + alignedBlock(frame);
          category = this.#categories[index]!;
        } else if (frame < end && this.#categories[index] === NONE)
          this.#categories[index] = category;
      }
    }
  }

  /** Of each frame, by its place in the map, the number of its category in CATEGORIES, plus 1; not to be changed. */
  get numbers(): Readonly<Uint8Array> {
    return this.#categories;
  }

  /** The category of a frame; undefined: it is no RAM. */
  categoryOf(frame: number): CategoryName | undefined {
    const index = this.#frames.indexOf(frame);
    return index < 0 ? undefined : CATEGORIES[this.#categories[index]! - 1];
  }

  /** Frames in each category. */
  sums(): ReadonlyMap<CategoryName, number> {
    this.#sums ??= this.#count();
    return this.#sums;
  }

  #count(): Map<CategoryName, number> {
    const counts = new Array<number>(CATEGORIES.length + 1).fill(0);
    for (const category of this.#categories) counts[category]!++;
    return new Map(CATEGORIES.map((category, index) => [category, counts[index + 1]!]));
  }

  /** The frames of a category, in order. */
  *framesOf(category: CategoryName): Generator<number> {
    const number = categoryNumber(category);
    for (let index = 0; index < this.#categories.length; index++)
      if (this.#categories[index] === number) yield this.#frames.frameAt(index);
  }

  /** The kind that the `struct page` of a frame of RAM says. */
  kindOf(frame: number): PageKind | undefined {
    const index = this.#frames.indexOf(frame);
    return index < 0 ? undefined : KINDS[this.#kinds[index]!];
  }

  /** Frames of a category by owner. */
  ownersOf(category: CategoryName): ReadonlyMap<string, number> {
    return this.#owners.get(category) ?? new Map();
  }

  /** What walks for a category were led to, and other categories have. */
  elsewhere(category: CategoryName): Elsewhere[] {
    return [...(this.#elsewhere.get(category) ?? [])].map(([from, frames]) => ({
      category: from > 0 ? CATEGORIES[from - 1]! : categoryOfKind(KINDS[-from]!),
      frames,
    }));
  }

  /** Frames that walks for a category were led to, and that are free: one of both is wrong. */
  freeButHeld(category: CategoryName): number {
    return this.#free.get(category) ?? 0;
  }

  /** The same, and that are no RAM: of a device. */
  outside(category: CategoryName): number {
    return this.#outside.get(category) ?? 0;
  }
}

function categoryOfKind(kind: PageKind): CategoryName {
  return CATEGORIES.find((category) => categoryFacts(category).kinds?.includes(kind)) ?? 'unread';
}

function add<Key>(map: Map<Key, number>, key: Key, more: number): void {
  map.set(key, (map.get(key) ?? 0) + more);
}

function within<Key, Inner>(outer: Map<Key, Map<Inner, number>>, key: Key): Map<Inner, number> {
  const found = outer.get(key) ?? new Map<Inner, number>();
  outer.set(key, found);
  return found;
}
