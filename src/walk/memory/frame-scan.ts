import { KernelError, ReadError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import { Cursor } from '../cursor.js';
import { reclaimTest } from '../pages/slab-caches.js';
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
import { readUnsigned } from '../struct-reader.js';
import { FileFrames } from './file-frames.js';
import { eachChunk, type FrameMap } from './page-array.js';
import { KIND, type KindTest, kindTest } from './page-kinds.js';
import type { FrameRange } from './ram.js';
import { deferredRanges } from './zones.js';

/** Content of all `struct page`s, from one pass. */
export interface FrameScan {
  /** Kind of each frame, by its index in the frame map. */
  readonly kinds: Uint8Array;
  /** Number of page table mappings of each frame by its `struct page`: at most {@link MAPPINGS}. */
  readonly mappings: Uint8Array;
  /** Frames of each slab cache, by the address of its `struct kmem_cache`. */
  readonly slabs: ReadonlyMap<bigint, SlabFrames>;
  /** Frames of each file. */
  readonly files: FileFrames;
  /** Number of frames of pages on an LRU list (PG_lru). */
  readonly lru: number;
  /** First frames of pages that are on no LRU list, although pages of their kind usually are. */
  readonly missingFromLru: readonly number[];
  /** Number of pages of other kinds on an LRU list, and the frame of the first. */
  readonly unexpectedOnLru: { readonly pages: number; readonly first: number };
  /** Number of blocks of each order in the buddy allocator. */
  readonly freeBlocks: readonly number[];
  /** Number of frames whose `struct page` cannot be read, and the reason for the first. */
  readonly unread: number;
  readonly whyUnread: ReadError | undefined;
  /** Reason why the flags of a slab cache cannot be read. Such a cache counts as unreclaimable. */
  readonly whyCache: ReadError | undefined;
  /** Number of frames whose `struct page` contradicts its neighbours, and a description of the first. */
  readonly torn: number;
  readonly whyTorn: string | undefined;
  /**
   * Frames whose struct pages are not initialized yet unless they are reserved, and the reason if these
   * frames are unknown.
   */
  readonly deferred: readonly FrameRange[];
  readonly whyDeferred: KernelError | undefined;
}

export interface SlabFrames {
  /** Whether the cache shrinks under memory pressure. */
  readonly reclaimable: boolean;
  slabs: number;
  frames: number;
  /** Slots of all slabs, and allocated ones, including those on per-CPU lists. */
  slots: number;
  used: number;
}

/**
 * Special values of a frame's mapping count: more, and unknown. Large folios count differently in each
 * kernel, and with CONFIG_NO_PAGE_MAPCOUNT not by page.
 */
export const MAPPINGS = { more: 254, unknown: 255 } as const;

/** Kinds of pages that the kernel keeps on LRU lists. */
const LISTED: ReadonlySet<number> = new Set([
  ...[KIND.anonymous, KIND['swap-cache'], KIND.file, KIND.shmem],
]);

/** Maximum number of unlisted frames recorded: more than per-CPU batches and reclaim hold at a time. */
const MOST_UNLISTED = 2 ** 16;

/**
 * Scans the `struct page` of every frame of RAM, once. Tails of a compound page have the kind of its head,
 * and frames of a free block have the kind of its first frame. All tails must point to the same head.
 *
 * @param progress called with the completed fraction, 0 to 1
 * @throws {KernelError} `unsupported-layout`, `damaged`; {@link ReadError} if the array of struct pages
 * cannot be found
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
  readonly #shrinks: (cache: bigint) => boolean;
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
    this.#shrinks = reclaimTest(kernel);
    this.#kinds = new Uint8Array(frames.size);
    this.#mappings = new Uint8Array(frames.size).fill(MAPPINGS.unknown);
    this.#files = new FileFrames(kernel);
  }

  run(progress: (part: number) => void): FrameScan {
    const visitor = {
      gap: () => this.#endBlock(),
      look: this.#scan.bind(this),
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
      missingFromLru: this.#unlisted,
      unexpectedOnLru: this.#strays,
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

  /** Block of the preceding frames: its kind, its end, and the head that its tails point to. */
  #kind = 0;
  #until = 0;
  #compound = false;
  #tailLow = 0;
  #tailHigh = 0;
  #tailKnown = false;

  #endBlock(): void {
    this.#until = 0;
  }

  #scan(view: DataView, start: number, first: number, index: number, count: number): void {
    const stride = this.#stride;
    const kinds = this.#kinds;
    const deferred = this.#deferred.filter((one) => first + count > one.start && first < one.end);
    for (let at = 0; at < count; at++) {
      const base = start + at * stride;
      const frame = first + at;
      if (deferred.length > 0 && deferred.some((one) => frame >= one.start && frame < one.end)) {
        // Poisoned struct pages (page_init_poison) have all flags set.
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
        // It changed after the first page of the block was read: this is newer.
        this.#endBlock();
      }
      // Only a large hugetlb page may have copies of its head among its tails (HVO).
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

  /** Kind of a tail whose head was read before it became one; undefined if that is none either. */
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

  /** Whether a page within a compound page is a tail that points to the same head as the others. */
  #agrees(view: DataView, base: number, low: number, isTail: boolean): boolean {
    if (!isTail) return this.#kind === KIND.hugetlb && this.#isHead(view, base);
    const high = view.getUint32(base + this.#tail + 4, true);
    if (this.#tailKnown) return low === this.#tailLow && high === this.#tailHigh;
    [this.#tailLow, this.#tailHigh, this.#tailKnown] = [low, high, true];
    return true;
  }

  /** Starts a block, and returns the kind of its frames. */
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

  /** An unreadable cache counts as unreclaimable, as most are. */
  #isReclaimable(cache: bigint): boolean {
    try {
      return this.#shrinks(cache);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      this.#whyCache ??= error;
      return false;
    }
  }

  #isHead(view: DataView, base: number): boolean {
    return (view.getUint8(base + this.#head.offset) & this.#head.mask) !== 0;
  }

  /**
   * @param index of the frame, which is marked; undefined: the caller marks it, and the current block ends
   */
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
