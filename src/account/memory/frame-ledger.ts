import { alignedBlock } from '../../walk/memory/aligned-block.js';
import type { FrameMap } from '../../walk/memory/frame-map.js';
import { KIND, KINDS, type PageKind } from '../../walk/memory/page-kinds.js';
import { DRAWERS, type DrawerName, drawerFacts, drawerNumber } from './drawers.js';

/** Frames that a walk led to and that are not in its drawer, by where they are. */
export interface Elsewhere {
  /** The drawer that has them. */
  readonly drawer: DrawerName;
  readonly frames: number;
}

const NONE = 0;

/**
 * Puts every page frame of a machine into exactly one drawer. Walks claim frames; the first that takes
 * one has it; the rest goes by what the `struct page`s say.
 */
export class FrameLedger {
  readonly #frames: FrameMap;
  readonly #kinds: Uint8Array;
  /** Of each frame the number of its drawer in DRAWERS, plus 1. */
  readonly #drawers: Uint8Array;
  /** Frames in each drawer, as long as none is claimed. */
  #sums: ReadonlyMap<DrawerName, number> | undefined;
  /** By drawer, then by owner: frames. */
  readonly #owners = new Map<DrawerName, Map<string, number>>();
  /** By the drawer that claimed, what it was led to that others have: frames by drawer. */
  readonly #elsewhere = new Map<DrawerName, Map<number, number>>();
  /** Frames that a walk was led to and that are free, by the drawer that claimed. */
  readonly #free = new Map<DrawerName, number>();
  /** The same, and that are no RAM. */
  readonly #outside = new Map<DrawerName, number>();

  constructor(frames: FrameMap, kinds: Uint8Array) {
    this.#frames = frames;
    this.#kinds = kinds;
    this.#drawers = new Uint8Array(frames.size);
  }

  /** How many frames there are. */
  get size(): number {
    return this.#frames.size;
  }

  /**
   * Claims a frame for a drawer.
   *
   * @param owner whoever would have to let go of it, as the drawer names owners
   * @returns whether the drawer has it now, and had it not before
   */
  claim(drawer: DrawerName, frame: number, owner?: string): boolean {
    const index = this.#frames.indexOf(frame);
    if (index < 0) {
      add(this.#outside, drawer, 1);
      return false;
    }
    const number = drawerNumber(drawer);
    const present = this.#drawers[index]!;
    if (present === number) return false;
    const kind = KINDS[this.#kinds[index]!]!;
    if (present === NONE && drawerFacts(drawer).takes?.includes(kind)) {
      this.#drawers[index] = number;
      this.#sums = undefined;
      if (owner !== undefined) add(within(this.#owners, drawer), owner, 1);
      return true;
    }
    if (present === NONE ? kind === 'free' : DRAWERS[present - 1] === 'free-cpu-lists') {
      add(this.#free, drawer, 1);
    }
    if (present === NONE && drawerFacts(drawer).kinds?.includes(kind)) return false;
    const from = present === NONE ? -this.#kinds[index]! : present;
    add(within(this.#elsewhere, drawer), from, 1);
    return false;
  }

  /** Claims the frames of an allocation. */
  claimBlock(drawer: DrawerName, frame: number, order: number, owner?: string): number {
    let taken = 0;
    for (let at = 0; at < 2 ** order; at++) if (this.claim(drawer, frame + at, owner)) taken++;
    return taken;
  }

  /** Puts what no walk claimed into the drawer of its kind: every frame is in one then. */
  close(): void {
    this.#sums = undefined;
    this.#closeBlocks();
    const byKind = new Uint8Array(KINDS.length);
    DRAWERS.forEach((drawer, index) => {
      for (const kind of drawerFacts(drawer).kinds ?? []) byKind[KIND[kind]] = index + 1;
    });
    for (let index = 0; index < this.#drawers.length; index++)
      if (this.#drawers[index] === NONE) this.#drawers[index] = byKind[this.#kinds[index]!]!;
  }

  /**
   * A frame without references that is in nobody's free list belongs to the block that begins before it:
   * only the first page of a block has a count, if it is no compound page. Blocks of the buddy allocator
   * are aligned to their size.
   */
  #closeBlocks(): void {
    let [head, end, drawer] = [-1, -1, NONE];
    let index = 0;
    for (const { start, end: last } of this.#frames.ranges) {
      for (let frame = start; frame < last; frame++, index++) {
        const kind = this.#kinds[index];
        if (kind !== KIND.unreferenced) {
          head = kind === KIND.held ? frame : -1;
          end = head < 0 ? -1 : frame + alignedBlock(frame);
          drawer = this.#drawers[index]!;
        } else if (frame < end && this.#drawers[index] === NONE) this.#drawers[index] = drawer;
      }
    }
  }

  /** Of each frame, by its place in the map, the number of its drawer in DRAWERS, plus 1; not to be changed. */
  get numbers(): Readonly<Uint8Array> {
    return this.#drawers;
  }

  /** The drawer of a frame; undefined: it is no RAM. */
  drawerOf(frame: number): DrawerName | undefined {
    const index = this.#frames.indexOf(frame);
    return index < 0 ? undefined : DRAWERS[this.#drawers[index]! - 1];
  }

  /** Frames in each drawer. */
  sums(): ReadonlyMap<DrawerName, number> {
    this.#sums ??= this.#count();
    return this.#sums;
  }

  #count(): Map<DrawerName, number> {
    const counts = new Array<number>(DRAWERS.length + 1).fill(0);
    for (const drawer of this.#drawers) counts[drawer]!++;
    return new Map(DRAWERS.map((drawer, index) => [drawer, counts[index + 1]!]));
  }

  /** The frames of a drawer, in order. */
  *framesOf(drawer: DrawerName): Generator<number> {
    const number = drawerNumber(drawer);
    for (let index = 0; index < this.#drawers.length; index++)
      if (this.#drawers[index] === number) yield this.#frames.frameAt(index);
  }

  /** The kind that the `struct page` of a frame of RAM says. */
  kindOf(frame: number): PageKind | undefined {
    const index = this.#frames.indexOf(frame);
    return index < 0 ? undefined : KINDS[this.#kinds[index]!];
  }

  /** Frames of a drawer by owner. */
  ownersOf(drawer: DrawerName): ReadonlyMap<string, number> {
    return this.#owners.get(drawer) ?? new Map();
  }

  /** What walks for a drawer were led to, and other drawers have. */
  elsewhere(drawer: DrawerName): Elsewhere[] {
    return [...(this.#elsewhere.get(drawer) ?? [])].map(([from, frames]) => ({
      drawer: from > 0 ? DRAWERS[from - 1]! : drawerOfKind(KINDS[-from]!),
      frames,
    }));
  }

  /** Frames that walks for a drawer were led to, and that are free: one of both is wrong. */
  freeButHeld(drawer: DrawerName): number {
    return this.#free.get(drawer) ?? 0;
  }

  /** The same, and that are no RAM: of a device. */
  outside(drawer: DrawerName): number {
    return this.#outside.get(drawer) ?? 0;
  }
}

function drawerOfKind(kind: PageKind): DrawerName {
  return DRAWERS.find((drawer) => drawerFacts(drawer).kinds?.includes(kind)) ?? 'unread';
}

function add<Key>(map: Map<Key, number>, key: Key, more: number): void {
  map.set(key, (map.get(key) ?? 0) + more);
}

function within<Key, Inner>(outer: Map<Key, Map<Inner, number>>, key: Key): Map<Inner, number> {
  const found = outer.get(key) ?? new Map<Inner, number>();
  outer.set(key, found);
  return found;
}
