import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import { Cursor } from '../cursor.js';
import {
  flagPlace,
  type HeadFinder,
  headFinder,
  MAX_ORDER,
  memberOf,
  orderOffset,
  slabCacheOffset,
  struct,
} from '../pages/struct-page.js';
import { readUnsigned, StructReader } from '../struct-reader.js';
import { FileFrames } from './file-frames.js';
import type { FrameMap } from './frame-map.js';
import { eachChunk } from './page-chunks.js';
import { KIND, type KindTest, kindTest } from './page-kinds.js';
import type { FrameRange } from './ram.js';
import { deferredRanges } from './zones.js';

/** What all `struct page`s say, in one pass. */
export interface FrameScan {
  /** The kind of each frame, by its place in the map. */
  readonly kinds: Uint8Array;
  /** How often each frame's `struct page` says that page tables map it: at most {@link MAPPINGS}. */
  readonly mappings: Uint8Array;
  /** Frames of each slab cache, by the address of its `struct kmem_cache`. */
  readonly slabs: ReadonlyMap<bigint, SlabFrames>;
  /** Frames of each file. */
  readonly files: FileFrames;
  /** Frames of pages that are on a list of those that were used last (PG_lru). */
  readonly lru: number;
  /** Frames of first pages that are on no such list, though pages of their kind are. */
  readonly unlisted: readonly number[];
  /** How many pages of other kinds are on such a list, and the frame of the first. */
  readonly strays: { readonly pages: number; readonly first: number };
  /** How many blocks of each order lie in the buddy allocator. */
  readonly freeBlocks: readonly number[];
  /** Frames whose `struct page` cannot be read, and why the first of them cannot. */
  readonly unread: number;
  readonly whyUnread: ReadError | undefined;
  /** Why of some slab cache it cannot be read whether it shrinks: it counts as one that does not. */
  readonly whyCache: ReadError | undefined;
  /** Frames whose `struct page` contradicts its neighbours, and what the first of them says. */
  readonly torn: number;
  readonly whyTorn: string | undefined;
  /** Frames whose struct pages mean nothing where they are not reserved, and why these are not known. */
  readonly deferred: readonly FrameRange[];
  readonly whyDeferred: KernelError | undefined;
}

export interface SlabFrames {
  /** The cache shrinks when memory is short. */
  readonly reclaimable: boolean;
  slabs: number;
  frames: number;
  /** Slots of all slabs, and those that are given out, those that wait in lists of CPUs among them. */
  slots: number;
  used: number;
}

/**
 * What a frame may say of its mappings beside a number: that there are more, and nothing. Large folios count them
 * in other ways from kernel to kernel, and with CONFIG_NO_PAGE_MAPCOUNT not page by page.
 */
export const MAPPINGS = { more: 254, unknown: 255 } as const;

/** Kinds of pages that the kernel keeps on lists of those that were used last. */
const LISTED: ReadonlySet<number> = new Set([
  ...[KIND.anonymous, KIND['swap-cache'], KIND.file, KIND.shmem],
]);

/** More of them than batches of CPUs and reclaim take at a time. */
const MOST_UNLISTED = 2 ** 16;

/** SLAB_RECLAIM_ACCOUNT before the flags had an enum (6.9). */
const RECLAIM_ACCOUNT = 0x2_0000;

/**
 * Looks at the `struct page` of every frame of RAM, once. Tails of a compound page are of the kind of
 * its head, frames of a free block of that of its first; each tail must name the same head.
 *
 * @param progress told now and then which part is done, 0 to 1
 * @throws {KernelError} `unsupported-layout`, `damaged`; {@link ReadError} if the array of struct pages
 *   cannot be found
 */
export function scanFrames(
  kernel: Kernel,
  frames: FrameMap,
  progress: (part: number) => void = () => {},
): FrameScan {
  return new Scan(kernel, frames).run(progress);
}

class Scan {
  readonly #kernel: Kernel;
  readonly #frames: FrameMap;
  readonly #deferred: readonly FrameRange[] = [];
  readonly #whyDeferred: KernelError | undefined;
  readonly #stride: number;
  readonly #kindOf: KindTest;
  readonly #headOf: HeadFinder;
  readonly #page: Cursor;
  readonly #head: { readonly offset: number; readonly mask: number };
  readonly #listed: { readonly offset: number; readonly mask: number };
  readonly #order: number;
  readonly #tail: number;
  readonly #cache: number;
  readonly #buddyOrder: number;
  readonly #mapcount: number;
  readonly #slots: MemberLayout;
  readonly #used: MemberLayout;
  readonly #flags: StructReader<'flags'>;
  readonly #reclaimable: number;
  readonly #kinds: Uint8Array;
  readonly #mappings: Uint8Array;
  readonly #files: FileFrames;
  readonly #slabs = new Map<bigint, SlabFrames>();
  readonly #freeBlocks: number[] = new Array<number>(MAX_ORDER + 1).fill(0);
  #lru = 0;
  readonly #unlisted: number[] = [];
  #strays = { pages: 0, first: 0 };
  #unread = 0;
  #whyUnread: ReadError | undefined;
  #whyCache: ReadError | undefined;
  #torn = 0;
  #whyTorn: string | undefined;

  constructor(kernel: Kernel, frames: FrameMap) {
    const page = struct(kernel, 'page');
    this.#kernel = kernel;
    this.#frames = frames;
    try {
      this.#deferred = deferredRanges(kernel);
    } catch (error) {
      if (!(error instanceof KernelError && error.code === 'damaged')) throw error;
      this.#whyDeferred = error;
    }
    this.#stride = page.size;
    this.#kindOf = kindTest(kernel);
    this.#headOf = headFinder(kernel, page);
    this.#page = new Cursor(kernel, 'struct page');
    this.#head = flagPlace(kernel, page, 'PG_head');
    this.#listed = flagPlace(kernel, page, 'PG_lru');
    this.#order = orderOffset(kernel, page);
    const word = page.member('compound_head') ?? page.member('compound_info');
    this.#tail = (word ?? memberOf(page, 'compound_head')).offset;
    this.#cache = slabCacheOffset(kernel, page);
    this.#buddyOrder = memberOf(page, 'private').offset;
    this.#mapcount = memberOf(page, '_mapcount').offset;
    const slab = kernel.struct('slab');
    this.#slots = slab?.member('objects') ?? memberOf(page, 'objects');
    this.#used = slab?.member('inuse') ?? memberOf(page, 'inuse');
    this.#flags = new StructReader(kernel, 'kmem_cache', ['flags']);
    const bit = kernel.enumerators('_slab_flag_bits')?.get('_SLAB_RECLAIM_ACCOUNT');
    this.#reclaimable = bit === undefined ? RECLAIM_ACCOUNT : 2 ** Number(bit);
    this.#kinds = new Uint8Array(frames.size);
    this.#mappings = new Uint8Array(frames.size).fill(MAPPINGS.unknown);
    this.#files = new FileFrames(kernel);
  }

  run(progress: (part: number) => void): FrameScan {
    const visitor = {
      gap: () => this.#endBlock(),
      look: this.#look.bind(this),
      lost: (error: ReadError, index: number, count: number) => {
        this.#endBlock();
        this.#unread += count;
        this.#whyUnread ??= error;
        this.#kinds.fill(KIND.unread, index, index + count);
      },
    };
    eachChunk(this.#kernel, this.#frames, this.#stride, visitor, progress);
    return {
      kinds: this.#kinds,
      mappings: this.#mappings,
      slabs: this.#slabs,
      files: this.#files,
      lru: this.#lru,
      unlisted: this.#unlisted,
      strays: this.#strays,
      freeBlocks: this.#freeBlocks,
      unread: this.#unread,
      whyUnread: this.#whyUnread,
      whyCache: this.#whyCache,
      torn: this.#torn,
      whyTorn: this.#whyTorn,
      deferred: this.#deferred,
      whyDeferred: this.#whyDeferred,
    };
  }

  /** The block that the frames before belong to: its kind, where it ends, and what its tails say. */
  #kind = 0;
  #until = 0;
  #compound = false;
  #tailLow = 0;
  #tailHigh = 0;
  #tailKnown = false;

  #endBlock(): void {
    this.#until = 0;
  }

  #look(view: DataView, start: number, first: number, index: number, count: number): void {
    const stride = this.#stride;
    const kinds = this.#kinds;
    const deferred = this.#deferred.filter((one) => first + count > one.start && first < one.end);
    for (let at = 0; at < count; at++) {
      const base = start + at * stride;
      const frame = first + at;
      if (deferred.length > 0 && deferred.some((one) => frame >= one.start && frame < one.end)) {
        // Poisoned ones (page_init_poison) have all flags.
        const isReserved = this.#kindOf(view, base) === KIND.reserved && !this.#isHead(view, base);
        kinds[index + at] = isReserved ? KIND.reserved : KIND.uninitialized;
        this.#endBlock();
        continue;
      }
      const tailLow = view.getUint32(base + this.#tail, true);
      const isTail = (tailLow & 1) !== 0;
      if (frame < this.#until) {
        const what = this.#compound
          ? this.#agrees(view, base, tailLow, isTail)
            ? undefined
            : 'is no tail of the compound page before it'
          : isTail
            ? 'is a tail within a free block'
            : this.#kindOf(view, base) === KIND.free
              ? 'begins a free block within another'
              : undefined;
        if (what === undefined) {
          kinds[index + at] = this.#kind;
          if (isFile(this.#kind)) this.#files.count();
          continue;
        }
        if (!this.#kernel.facts.live) {
          this.#tear(index + at, frame, what);
          continue;
        }
        // It has changed since the first of the block was read: what it says now is newer.
        this.#endBlock();
      }
      // A large page of hugetlb may have copies of its head among its tails, and only there (HVO).
      if (isTail) {
        const kind = this.#kernel.facts.live ? this.#kindOfHead(frame) : undefined;
        if (kind === undefined)
          this.#tear(index + at, frame, 'is a tail, and no compound page begins before it');
        else kinds[index + at] = kind;
        continue;
      }
      const kind = this.#begin(this.#kindOf(view, base), view, base, frame);
      kinds[index + at] = kind;
      if (this.#until === 0) {
        const mappings = view.getInt32(base + this.#mapcount, true) + 1;
        this.#mappings[index + at] = Math.min(Math.max(mappings, 0), MAPPINGS.more);
      }
      if (isFile(kind)) {
        this.#files.begin(view, base, kind);
        this.#files.count();
      }
    }
  }

  /** Of a tail whose head was read before it became one; undefined where that is none either. */
  #kindOfHead(frame: number): number | undefined {
    const tail = this.#kernel.pages.pageOfFrame(frame);
    try {
      const head = this.#headOf(tail, this.#page.to(tail).look(0, this.#stride));
      const { view, base } = this.#page.to(head).look(0, 2 * this.#stride);
      if (head === tail || !this.#isHead(view, base)) return undefined;
      const kind = this.#kindOf(view, base);
      if (isFile(kind)) {
        this.#files.begin(view, base, kind);
        this.#files.count();
      }
      return kind;
    } catch (error) {
      if (error instanceof ReadError) return undefined;
      throw error;
    }
  }

  /** Whether a page within a compound one is a tail of it, as the others are. */
  #agrees(view: DataView, base: number, low: number, isTail: boolean): boolean {
    if (!isTail) return this.#kind === KIND.hugetlb && this.#isHead(view, base);
    const high = view.getUint32(base + this.#tail + 4, true);
    if (this.#tailKnown) return low === this.#tailLow && high === this.#tailHigh;
    [this.#tailLow, this.#tailHigh, this.#tailKnown] = [low, high, true];
    return true;
  }

  /** Begins a block, and gives the kind of its frames. */
  #begin(seen: number, view: DataView, base: number, frame: number): number {
    let kind = seen;
    let order = 0;
    this.#compound = false;
    if (kind === KIND.free) {
      order = view.getUint32(base + this.#buddyOrder, true);
      if (order > MAX_ORDER || frame % 2 ** order !== 0) {
        return this.#tear(undefined, frame, `is a free block of order ${order}`);
      }
      this.#freeBlocks[order] = this.#freeBlocks[order]! + 1;
    } else if (this.#isHead(view, base)) {
      const at = base + this.#order;
      order = at < view.byteLength ? view.getUint8(at) : 0;
      if (order < 1 || order > MAX_ORDER || frame % 2 ** order !== 0) {
        return this.#tear(undefined, frame, `is a compound page of order ${order}`);
      }
      this.#compound = true;
      this.#tailKnown = false;
    }
    if (kind === KIND.slab) {
      const cache = view.getBigUint64(base + this.#cache, true);
      let sum = this.#slabs.get(cache);
      if (!sum) {
        sum = { reclaimable: this.#isReclaimable(cache), slabs: 0, frames: 0, slots: 0, used: 0 };
        this.#slabs.set(cache, sum);
      }
      if (sum.reclaimable) kind = KIND['slab-reclaimable'];
      sum.slabs++;
      sum.frames += 2 ** order;
      sum.slots += readUnsigned(view, base + this.#slots.offset, this.#slots);
      sum.used += readUnsigned(view, base + this.#used.offset, this.#used);
    }
    const listed = (view.getUint8(base + this.#listed.offset) & this.#listed.mask) !== 0;
    if (listed) this.#lru += 2 ** order;
    if (listed !== LISTED.has(kind)) this.#noteOdd(listed, frame);
    this.#kind = kind;
    this.#until = order === 0 ? 0 : frame + 2 ** order;
    return kind;
  }

  #noteOdd(isStray: boolean, frame: number): void {
    if (isStray) {
      if (this.#strays.pages === 0) this.#strays.first = frame;
      this.#strays.pages++;
    } else if (this.#unlisted.length < MOST_UNLISTED) {
      this.#unlisted.push(frame);
    }
  }

  /**
   * SLAB_RECLAIM_ACCOUNT. Of a cache that cannot be read it is not known: then as of most.
   */
  #isReclaimable(cache: bigint): boolean {
    try {
      return (this.#flags.read(cache).number('flags') & this.#reclaimable) !== 0;
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      this.#whyCache ??= error;
      return false;
    }
  }

  #isHead(view: DataView, base: number): boolean {
    return (view.getUint8(base + this.#head.offset) & this.#head.mask) !== 0;
  }

  /** @param index of a frame that is in no block then */
  #tear(index: number | undefined, frame: number, what: string): number {
    this.#torn++;
    this.#whyTorn ??= `page frame ${frame} ${what}`;
    if (index !== undefined) this.#kinds[index] = KIND.torn;
    else this.#endBlock();
    return KIND.torn;
  }
}

function isFile(kind: number): boolean {
  return kind === KIND.file || kind === KIND.shmem;
}
