import { KernelError, ReadError, readOrNot } from '../../base/errors.js';
import type { ByteWindow } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import { Pointer } from '../../kernel/pointer.js';
import { KINDS, type PageKind } from '../../records/page-kinds.js';
import { Cursor } from '../cursor.js';
import { readFresh } from '../live-reads.js';
import { reclaimTest } from '../pages/slab-caches.js';
import type { FramesTest } from '../pages/slab-scan.js';
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
import { deferredRanges, type FreeLists } from './zones.js';

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
  /**
   * Whether a frame of a running kernel whose `struct page` said nothing is in use or in a free block now; false if that
   * cannot be read.
   */
  readonly isOtherNow: (frame: number) => boolean;
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
const LISTED: ReadonlySet<number> = new Set([KIND.anonymous, KIND['swap-cache'], KIND.file, KIND.shmem]);

/** Maximum number of unlisted frames recorded: more than per-CPU batches and reclaim hold at a time. */
const MAX_UNLISTED = 2 ** 16;

/** Number of times that a contradictory page of a running kernel is read before it counts as torn. */
const MAX_READS = 8;

/** Number of torn frames after which no page is read again: the scan must end where every page is. */
const MAX_TORN = 2 ** 12;

/**
 * Scans the `struct page` of every frame of RAM, once. Tails of a compound page have the kind of its head,
 * and frames of a free block have the kind of its first frame. All tails must point to the same head.
 *
 * @param progress called with the completed fraction, 0 to 1
 * @param free blocks whose struct pages after the first need not be read: no tail of them is compared then
 * @throws {KernelError} `unsupported-layout`, `damaged`; {@link ReadError} if the array of struct pages
 * cannot be found
 */
export function scanFrames(
  kernel: Kernel,
  frames: FrameMap,
  progress: (part: number) => void = () => {},
  free?: FreeLists,
): FrameScan {
  return new Scan(kernel, frames, free).run(progress);
}

/** Kinds of frames that are neither in a slab nor in a page pool. */
const NOT_OF_KERNEL: ReadonlySet<PageKind> = new Set([
  'free',
  'uninitialized',
  'hugetlb',
  'reserved',
  'anonymous',
  'swap-cache',
  'file',
  'shmem',
]);

/**
 * Returns a test for frames whose struct pages a scan of slabs need not read again: most of a large machine. Undefined for
 * a running kernel, whose pages change.
 */
export function withoutKernelPages(kernel: Kernel, frames: FrameMap, { kinds }: FrameScan): FramesTest | undefined {
  if (kernel.facts.live) return undefined;
  const isOther = Uint8Array.from(KINDS, (kind) => (NOT_OF_KERNEL.has(kind) ? 1 : 0));
  return (frame, count) => {
    const first = frames.indexOf(frame);
    // Both ends in one range of RAM: no frame between them is outside.
    if (first < 0 || frames.indexOf(frame + count - 1) !== first + count - 1) return false;
    for (let index = first; index < first + count; index++) if (isOther[kinds[index]!] === 0) return false;
    return true;
  };
}

class Scan {
  readonly #kernel: Kernel;
  readonly #frames: FrameMap;
  readonly #free: FreeLists | undefined;
  readonly #deferred: readonly FrameRange[] = [];
  readonly #whyDeferred: KernelError | undefined;
  readonly #stride: number;
  readonly #kindOf: KindTest;
  readonly #headOf: HeadFinder;
  readonly #page: Cursor;
  readonly #first = new Pointer();
  readonly #head: { readonly offset: number; readonly mask: number };
  readonly #listed: { readonly offset: number; readonly mask: number };
  readonly #backed: { readonly offset: number; readonly mask: number };
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

  constructor(kernel: Kernel, frames: FrameMap, free: FreeLists | undefined) {
    const page = struct(kernel, 'page');
    this.#kernel = kernel;
    this.#free = free;
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
    this.#backed = flagPlace(kernel, page, 'PG_swapbacked');
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
      skipped: this.#free,
      isKnown: this.#isFree.bind(this),
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
      isOtherNow: this.#isOtherNow.bind(this),
    };
  }

  /** Block of the preceding frames: its kind, its end, and the head that its tails point to. */
  #kind = 0;
  #until = 0;
  #compound = false;
  #tailLow = 0;
  #tailHigh = 0;
  #tailKnown = false;
  /** Kind and order of the page that #faultOf read last. */
  #seen = 0;
  #seenOrder = 0;

  #endBlock(): void {
    this.#until = 0;
  }

  #scan(read: DataView, start: number, first: number, index: number, count: number): void {
    const stride = this.#stride;
    const kinds = this.#kinds;
    const { live } = this.#kernel.facts;
    const deferred = this.#deferred.filter((range) => first + count > range.start && first < range.end);
    // Pages that are read again reuse the memory of this view.
    const view = live ? copyOf(read, start, count * stride) : read;
    const from = live ? 0 : start;
    for (let at = 0; at < count; at++) {
      const base = from + at * stride;
      const frame = first + at;
      if (deferred.length > 0 && deferred.some((range) => frame >= range.start && frame < range.end)) {
        // Poisoned struct pages (page_init_poison) have all flags set.
        const isReserved = this.#kindOf(view, base) === KIND.reserved && !this.#isHead(view, base);
        kinds[index + at] = isReserved ? KIND.reserved : KIND.uninitialized;
        this.#endBlock();
        continue;
      }
      const isWithin = frame < this.#until;
      const alike =
        isWithin && deferred.length === 0 ? this.#alike(view, base, Math.min(count, this.#until - first) - at) : 0;
      if (alike > 0) {
        kinds.fill(this.#kind, index + at, index + at + alike);
        if (isFile(this.#kind)) this.#files.count(alike);
        at += alike - 1;
        continue;
      }
      const what = isWithin ? this.#faultWithin(view, base) : this.#faultOf(view, base, frame);
      if (what !== undefined) {
        const kind = live && this.#torn < MAX_TORN ? this.#readAgain(frame) : undefined;
        kinds[index + at] = kind ?? this.#tear(frame, what);
        // Without a valid order it is unknown where the next block begins.
        if (kind === undefined && !isWithin) this.#endBlock();
        continue;
      }
      if (isWithin) {
        kinds[index + at] = this.#kind;
        if (isFile(this.#kind)) this.#files.count();
        continue;
      }
      kinds[index + at] = this.#begin(view, base, frame, index + at);
    }
  }

  /** Whether all of some frames are in blocks on the free lists, and not in a compound page that is read already. */
  #isFree(first: number, index: number, count: number): boolean {
    const blocks = this.#free?.around(first, count) ?? [];
    if (blocks.length === 0 || (first < this.#until && this.#compound)) return false;
    for (const { frame, order } of blocks) {
      if (frame >= first) this.#freeBlocks[order] = this.#freeBlocks[order]! + 1;
      [this.#kind, this.#until, this.#compound] = [KIND.free, frame + 2 ** order, false];
    }
    this.#kinds.fill(KIND.free, index, index + count);
    return true;
  }

  /**
   * Number of consecutive pages, up to a maximum, that clearly agree with the block that they are in: pages without a
   * page type in a free block, or tails with the same head as those before.
   */
  #alike(view: DataView, base: number, most: number): number {
    const [stride, tail, mapcount] = [this.#stride, this.#tail, this.#mapcount];
    let count = 0;
    if (!this.#compound) {
      for (let at = base; count < most; count++, at += stride)
        if ((view.getUint8(at + tail) & 1) !== 0 || view.getInt32(at + mapcount, true) !== -1) break;
    } else if (this.#tailKnown) {
      const [low, high] = [this.#tailLow, this.#tailHigh];
      for (let at = base + tail; count < most; count++, at += stride)
        if (view.getUint32(at, true) !== low || view.getUint32(at + 4, true) !== high) break;
    }
    return count;
  }

  /** Contradiction between a page and the block that it is in. */
  #faultWithin(view: DataView, base: number): string | undefined {
    const isTail = this.#isTail(view, base);
    if (this.#compound)
      return this.#agrees(view, base, isTail) ? undefined : 'is no tail of the compound page before it';
    if (isTail) return 'is a tail within a free block';
    return this.#kindOf(view, base) === KIND.free ? 'begins a free block within another' : undefined;
  }

  /** Reads kind and order of a page, and returns the reason why it cannot begin a block nor be a page by itself. */
  #faultOf(view: DataView, base: number, frame: number): string | undefined {
    // Only a large hugetlb page may have copies of its head among its tails (HVO).
    if (this.#isTail(view, base)) return 'is a tail, and no compound page begins before it';
    const kind = this.#kindOf(view, base);
    // Only pages of processes, and of tmpfs, are backed by swap.
    if (kind === KIND.movable && (view.getUint8(base + this.#backed.offset) & this.#backed.mask) !== 0)
      return 'is backed by swap, but its mapping is that of a driver';
    const isHead = kind !== KIND.free && this.#isHead(view, base);
    const order =
      kind === KIND.free ? view.getUint32(base + this.#buddyOrder, true) : isHead ? this.#orderOf(view, base) : 0;
    this.#seen = kind;
    this.#seenOrder = order;
    if (order > MAX_ORDER || frame % 2 ** order !== 0 || (isHead && order === 0))
      return `is a ${isHead ? 'compound page' : 'free block'} of order ${order}`;
    return undefined;
  }

  /** Order of a compound page by its first two struct pages. */
  #orderOf(view: DataView, base: number): number {
    const at = base + this.#order;
    return at < view.byteLength ? view.getUint8(at) : 0;
  }

  /**
   * Reads a page of a running kernel again that contradicts its neighbours, together with the block that it is
   * in now: pages read earlier are as they were before. The following pages are compared with that block.
   *
   * @returns its kind; undefined if it contradicts its neighbours in every attempt
   */
  #readAgain(frame: number): number | undefined {
    for (let reads = 0; reads < MAX_READS; reads++) {
      // The first attempt reads what is cached already.
      const forget = this.#kernel.noteReads();
      try {
        const kind = this.#kindNow(frame);
        if (kind !== undefined) return kind;
      } catch (error) {
        if (!(error instanceof ReadError)) throw error;
      } finally {
        forget();
      }
    }
    return undefined;
  }

  #isOtherNow(frame: number): boolean {
    return (
      readOrNot(() =>
        readFresh(this.#kernel, () => {
          const { view, base } = this.#lookAt(frame);
          const isNothing = !this.#isTail(view, base) && this.#kindOf(view, base) === KIND.unreferenced;
          return !isNothing || this.#firstOfBlock(frame) !== frame;
        }),
      ) ?? false
    );
  }

  #kindNow(frame: number): number | undefined {
    const { pages } = this.#kernel;
    const page = pages.pageOfFrame(frame);
    const own = this.#page.to(page).look(0, this.#stride);
    const isTail = this.#isTail(own.view, own.base);
    const isCopy = !isTail && this.#isHead(own.view, own.base);
    const isFree = !isTail && this.#kindOf(own.view, own.base) === KIND.free;
    const first = isTail ? pages.frameOfPage(this.#first.set(this.#headOf(page, own))) : this.#firstOfBlock(frame);
    if (first < 0 || (isTail && first >= frame) || (isFree && first < frame)) return undefined;
    const { view, base } = this.#lookAt(first);
    if (this.#faultOf(view, base, first) !== undefined) return undefined;
    this.#endBlock();
    if (first === frame) return this.#begin(view, base, frame, this.#frames.indexOf(frame));
    const isCompound = this.#seen !== KIND.free;
    const until = first + 2 ** this.#seenOrder;
    const belongs = isTail === isCompound || (isCopy && this.#seen === KIND.hugetlb);
    if (frame >= until || !belongs) return undefined;
    const kind = this.#finerKind(this.#seen, view, base);
    [this.#kind, this.#until, this.#compound, this.#tailKnown] = [kind, until, isCompound, false];
    if (isFile(kind)) {
      this.#files.begin(view, base, kind);
      this.#files.count();
    }
    return kind;
  }

  /** First frame of the free block or compound page that contains a frame, or else the frame itself. */
  #firstOfBlock(frame: number): number {
    for (let order = 1; order <= MAX_ORDER; order++) {
      const first = frame - (frame % 2 ** order);
      if (first === frame || this.#frames.indexOf(first) < 0) continue;
      const { view, base } = this.#lookAt(first);
      if (this.#faultOf(view, base, first) === undefined && first + 2 ** this.#seenOrder > frame) return first;
    }
    return frame;
  }

  /** Two struct pages where the array has them: the second has the order of a compound page. */
  #lookAt(frame: number): Readonly<ByteWindow> {
    const page = this.#page.to(this.#kernel.pages.pageOfFrame(frame));
    try {
      return page.look(0, 2 * this.#stride);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      return page.look(0, this.#stride);
    }
  }

  /** Whether a page within a compound page is a tail that points to the same head as the others. */
  #agrees(view: DataView, base: number, isTail: boolean): boolean {
    if (!isTail) return this.#kind === KIND.hugetlb && this.#isHead(view, base);
    const low = view.getUint32(base + this.#tail, true);
    const high = view.getUint32(base + this.#tail + 4, true);
    if (this.#tailKnown) return low === this.#tailLow && high === this.#tailHigh;
    [this.#tailLow, this.#tailHigh, this.#tailKnown] = [low, high, true];
    return true;
  }

  #isTail(view: DataView, base: number): boolean {
    return (view.getUint8(base + this.#tail) & 1) !== 0;
  }

  /** Starts the block, or the page by itself, that #faultOf found in order; returns the kind of its frames. */
  #begin(view: DataView, base: number, frame: number, index: number): number {
    const [seen, order] = [this.#seen, this.#seenOrder];
    this.#compound = seen !== KIND.free && order > 0;
    this.#tailKnown = false;
    if (seen === KIND.free) this.#freeBlocks[order] = this.#freeBlocks[order]! + 1;
    const kind = this.#finerKind(seen, view, base);
    if (seen === KIND.slab) this.#countSlab(view, base, order);
    const listed = (view.getUint8(base + this.#listed.offset) & this.#listed.mask) !== 0;
    if (listed) this.#lru += 2 ** order;
    if (listed !== LISTED.has(kind)) this.#noteOdd(listed, frame);
    this.#kind = kind;
    this.#until = order === 0 ? 0 : frame + 2 ** order;
    if (order === 0) {
      const mappings = view.getInt32(base + this.#mapcount, true) + 1;
      this.#mappings[index] = Math.min(Math.max(mappings, 0), MAPPINGS.more);
    }
    if (isFile(kind)) {
      this.#files.begin(view, base, kind);
      this.#files.count();
    }
    return kind;
  }

  /** Kind of a block; slabs that the kernel reclaims have one of their own. */
  #finerKind(seen: number, view: DataView, base: number): number {
    return seen === KIND.slab && this.#slabsOf(view, base).reclaimable ? KIND['slab-reclaimable'] : seen;
  }

  #slabsOf(view: DataView, base: number): SlabFrames {
    const cache = view.getBigUint64(base + this.#cache, true);
    let sum = this.#slabs.get(cache);
    if (!sum) {
      sum = { reclaimable: this.#isReclaimable(cache), slabs: 0, frames: 0, slots: 0, used: 0 };
      this.#slabs.set(cache, sum);
    }
    return sum;
  }

  #countSlab(view: DataView, base: number, order: number): void {
    const sum = this.#slabsOf(view, base);
    sum.slabs++;
    sum.frames += 2 ** order;
    sum.slots += readUnsigned(view, base + this.#slots.offset, this.#slots);
    sum.used += readUnsigned(view, base + this.#used.offset, this.#used);
  }

  #noteOdd(isStray: boolean, frame: number): void {
    if (isStray) {
      if (this.#strays.pages === 0) this.#strays.first = frame;
      this.#strays.pages++;
    } else if (this.#unlisted.length < MAX_UNLISTED) {
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

  #tear(frame: number, what: string): number {
    this.#torn++;
    this.#whyTorn ??= `page frame ${frame} ${what}`;
    return KIND.torn;
  }
}

/** Bytes of a view; a view of a running kernel's memory changes when it is read again. */
function copyOf({ buffer, byteOffset }: DataView, from: number, length: number): DataView {
  return new DataView(buffer.slice(byteOffset + from, byteOffset + from + length));
}

function isFile(kind: number): boolean {
  return kind === KIND.file || kind === KIND.shmem;
}
