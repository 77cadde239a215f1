import { bytesByValue, eachRun } from '../../base/util.js';
import { CATEGORIES, type CategoryName, categoryFacts, categoryNumber } from '../../records/categories.js';
import { KINDS, type PageKind } from '../../records/page-kinds.js';
import type { FrameMap } from '../../walk/memory/page-array.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import { alignedBlock } from '../../walk/pages/block.js';

/** Frames that a walk found and that other categories have, by category. */
export interface Elsewhere {
  /** The category that contains them. */
  readonly category: CategoryName;
  readonly frames: number;
}

const NONE = 0;

/** Maximum number of struct pages that are read once more: those of 16 MiB. The others stay unattributed. */
const MAX_SECOND_LOOKS = 2 ** 12;

/**
 * Assigns every page frame of a machine to exactly one category. Walks claim frames, and the first claim
 * wins; the other frames are assigned by their `struct page`.
 */
export class FrameLedger {
  readonly #frames: FrameMap;
  readonly #kinds: Uint8Array;
  /** Number of each frame's category in CATEGORIES, plus 1. */
  readonly #categories: Uint8Array;
  /** Cached frames by category; undefined after a claim. */
  #sums: ReadonlyMap<CategoryName, number> | undefined;
  /** Frames by category and owner. */
  readonly #owners = new Map<CategoryName, Map<string, number>>();
  /** Frames that a category's walk reached and that other categories have claimed: by category. */
  readonly #elsewhere = new Map<CategoryName, Map<number, number>>();
  /** Free frames that a walk found, by the claiming category. */
  readonly #free = new Map<CategoryName, number>();
  /** Frames outside RAM that a walk found, by the claiming category. */
  readonly #outside = new Map<CategoryName, number>();

  constructor(frames: FrameMap, kinds: Uint8Array) {
    this.#frames = frames;
    this.#kinds = kinds;
    this.#categories = new Uint8Array(frames.size);
  }

  /** Number of frames. */
  get size(): number {
    return this.#frames.size;
  }

  /**
   * Claims a frame for a category.
   *
   * @param owner its owner, as the category names owners
   * @returns whether the frame was added to the category
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

  /** Claims the frames of an allocation; returns the number of frames added. */
  claimBlock(category: CategoryName, frame: number, order: number, owner?: string): number {
    let taken = 0;
    for (let at = 0; at < 2 ** order; at++) if (this.claim(category, frame + at, owner)) taken++;
    return taken;
  }

  /** Assigns unclaimed frames to the category of their kind: every frame has a category then. */
  close(): void {
    this.#sums = undefined;
    this.#closeBlocks();
    const byKind = new Uint8Array(KINDS.length);
    CATEGORIES.forEach((category, index) => {
      for (const kind of categoryFacts(category).kinds ?? []) byKind[KIND[kind]] = index + 1;
    });
    eachRun(this.#kinds, (kind, start, end) => this.#fill(start, end, byKind[kind]!));
  }

  /** Gives frames without a category one. */
  #fill(start: number, end: number, category: number): void {
    const categories = this.#categories;
    const fill = (present: number, from: number, to: number) => {
      if (present === NONE) categories.fill(category, from, to);
    };
    eachRun(categories, fill, start, end);
  }

  /**
   * Assigns each unreferenced frame outside the free lists to the block before it: in a non-compound block,
   * only the first page has a reference count. Buddy blocks are aligned to their size.
   */
  #closeBlocks(): void {
    let [blockEnd, category] = [-1, NONE];
    let before = 0;
    for (const { start: first, end: last } of this.#frames.ranges) {
      // Frame of an index.
      const offset = first - before;
      const visit = (kind: number, start: number, end: number) => {
        if (kind === KIND.unreferenced) {
          if (blockEnd > start + offset) this.#fill(start, Math.min(end, blockEnd - offset), category);
          return;
        }
        const head = end - 1 + offset;
        blockEnd = kind === KIND.held ? head + alignedBlock(head) : -1;
        category = this.#categories[end - 1]!;
      };
      eachRun(this.#kinds, visit, before, before + last - first);
      before += last - first;
    }
  }

  /**
   * Gives unattributed frames without a reference to the per-CPU free lists where a second look at a running kernel finds
   * them free or in use: they were on their way between two lists while these were read. Lost memory looks the same twice.
   *
   * @param listed frames on per-CPU lists now
   * @param isOtherNow slower: whether the struct page of a frame says something else now
   */
  settle(listed: ReadonlySet<number>, isOtherNow: (frame: number) => boolean): void {
    const number = categoryNumber('free-cpu-lists');
    let left = MAX_SECOND_LOOKS;
    for (const frame of this.framesOf('unattributed')) {
      const index = this.#frames.indexOf(frame);
      if (this.#kinds[index] !== KIND.unreferenced) continue;
      if (listed.has(frame) || (left-- > 0 && isOtherNow(frame))) this.#categories[index] = number;
    }
    this.#sums = undefined;
  }

  /** Number of each frame's category in CATEGORIES, plus 1, by its place in the map; read-only. */
  get numbers(): Readonly<Uint8Array> {
    return this.#categories;
  }

  /** Returns the category of a frame; undefined if it is not RAM. */
  categoryOf(frame: number): CategoryName | undefined {
    const index = this.#frames.indexOf(frame);
    return index < 0 ? undefined : CATEGORIES[this.#categories[index]! - 1];
  }

  /** Returns the number of frames in each category. */
  sums(): ReadonlyMap<CategoryName, number> {
    this.#sums ??= this.#count();
    return this.#sums;
  }

  #count(): Map<CategoryName, number> {
    const counts = bytesByValue(this.#categories);
    return new Map(CATEGORIES.map((category, index) => [category, counts[index + 1]!]));
  }

  /** Yields the frames of a category, in order. */
  *framesOf(category: CategoryName): Generator<number> {
    const [number, categories] = [categoryNumber(category), this.#categories];
    for (let index = categories.indexOf(number); index >= 0; index = categories.indexOf(number, index))
      for (; categories[index] === number; index++) yield this.#frames.frameAt(index);
  }

  /** Returns the kind of a frame of RAM, according to its `struct page`. */
  kindOf(frame: number): PageKind | undefined {
    const index = this.#frames.indexOf(frame);
    return index < 0 ? undefined : KINDS[this.#kinds[index]!];
  }

  /** Returns the frames of a category by owner. */
  ownersOf(category: CategoryName): ReadonlyMap<string, number> {
    return this.#owners.get(category) ?? new Map();
  }

  /** Frames that walks of a category reached and that other categories have. */
  elsewhere(category: CategoryName): Elsewhere[] {
    return [...(this.#elsewhere.get(category) ?? [])].map(([from, frames]) => ({
      category: from > 0 ? CATEGORIES[from - 1]! : categoryOfKind(KINDS[-from]!),
      frames,
    }));
  }

  /** Number of free frames that walks for a category found: either the walk or the free list is wrong. */
  freeButHeld(category: CategoryName): number {
    return this.#free.get(category) ?? 0;
  }

  /** The same for frames that are not RAM: memory of a device. */
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
  const inner = outer.get(key) ?? new Map<Inner, number>();
  outer.set(key, inner);
  return inner;
}
