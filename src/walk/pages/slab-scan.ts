import { damaged, ReadError, readOrNot, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { ByteWindow } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import { Cursor } from '../cursor.js';

import { readUnsigned, StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { memoryEnd } from './memory-end.js';
import { ChildCaches, faultOfCount, type SlabShape, SlabShapes, slabsCounted } from './slab-caches.js';
import {
  framesPerSection,
  type PageTest,
  pagesPerChunk,
  slabCacheOffset,
  slabTest,
  slabTestBytes,
} from './struct-page.js';

/** A slot of a slab, in use or free: the allocator's lists are not consulted. */
export interface Slot {
  /** Address of the requested `struct kmem_cache`; the slab may belong to one of its copies. */
  readonly cache: bigint;
  /** Address of its object. */
  readonly object: bigint;
  readonly slab: Slab;
}

/** A slab of a cache whose slots are reported. */
export interface Slab {
  /** Address of its first `struct page`. */
  readonly page: bigint;
  readonly cache: bigint;
  readonly objects: number;
}

/** Copies bytes of one `struct page` into a view of many: `offset` is from its start. */
export type Take = (offset: number, length: number) => void;

/** Receives page frames while they are scanned for slots. */
export interface PageVisitor {
  /** A slab: its `struct page` is at `base` of the view, followed by the next one. */
  slab(cache: bigint, view: DataView, base: number): void;
  /** Any page that is not in a slab, including tail pages. */
  page(frame: number, view: DataView, base: number): void;
  /**
   * Extracts the members that the visitor reads from a `struct page` that is incomplete in the dump: of a
   * slab of this cache, or of another page.
   */
  fetch(cache: bigint | undefined, take: Take, view: DataView, base: number): void;
  /** Some struct pages could not be read: the list is incomplete. */
  missed(): void;
  /** All frames were read. */
  ended(): void;
}

/** Whether consecutive page frames need not be visited: an earlier scan found that none is of interest. */
export type FramesTest = (frame: number, count: number) => boolean;

/** Options of a scan. */
export interface SlotsOptions {
  /** Called with the completed fraction of all frames, 0 to 1. */
  readonly progress?: ((part: number) => void) | undefined;
  /** Receives each page frame as well, so that one scan serves both purposes. */
  readonly look?: PageVisitor | undefined;
  readonly isKnown?: FramesTest | undefined;
}

/**
 * Maximum number of sections without an array that are skipped if only one source says that memory continues:
 * 16 TiB. A damaged word may claim millions of times as much.
 */
const MAX_EMPTY = 2 ** 17;

/**
 * Finds every slot of every slab of some caches. SLUB keeps no list of its full slabs, so the only way to
 * find them all is to scan the `struct page` of every page frame (as drgn does).
 */
export class SlabScan {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #stride: number;
  readonly #isSlab: PageTest;
  readonly #testBytes: { readonly offset: number; readonly length: number };
  readonly #cacheOffset: number;
  readonly #objectCount: MemberLayout;
  readonly #cache;
  readonly #shapes: SlabShapes;

  constructor(kernel: Kernel, warnings: Warnings) {
    const page = kernel.struct('page');
    if (!page) throw unsupportedLayout('this kernel has no struct page');
    this.#kernel = kernel;
    this.#warnings = warnings;
    this.#stride = page.size;
    this.#isSlab = slabTest(kernel, page);
    this.#testBytes = slabTestBytes(kernel, page);
    this.#cacheOffset = slabCacheOffset(kernel, page);
    const objects = kernel.struct('slab')?.member('objects') ?? page.member('objects');
    if (!objects) throw unsupportedLayout('neither struct slab nor struct page counts objects');
    this.#objectCount = objects;
    this.#cache = new StructReader(kernel, 'kmem_cache', ['size', 'red_left_pad']);
    this.#shapes = new SlabShapes(kernel);
  }

  /** @throws as {@link memoryEnd} */
  *slots(caches: ReadonlySet<bigint>, { progress, look, isKnown }: SlotsOptions = {}): Generator<Slot> {
    const shapes = new Map<bigint, Shape>();
    const children = new ChildCaches(this.#kernel);
    for (const cache of caches) {
      shapes.set(cache, this.#shape(cache, cache));
      for (const child of children.of(cache)) shapes.set(child, this.#shape(child, cache));
    }
    const { frame: last, agreed, faults } = memoryEnd(this.#kernel);
    for (const { code, message } of faults) this.#warnings.add(code, `end of memory: ${message}`);
    const perChunk = pagesPerChunk(this.#stride);
    const perSection = framesPerSection(this.#kernel.facts.pageSize);
    const pages = new Cursor(this.#kernel, 'struct page');
    let missing = 0;
    let empty = 0;
    for (let frame = 0; frame < last; ) {
      // Does not cross the end of a section: the next one may be missing.
      const count = Math.min(perChunk, last - frame, perSection - (frame % perSection));
      progress?.(frame / last);
      if (isKnown?.(frame, count)) {
        frame += count;
        continue;
      }
      const first = this.#kernel.pages.pageOfFrame(frame);
      let window: Readonly<ByteWindow>;
      try {
        window = pages.to(first).look(0, count * this.#stride);
      } catch (error) {
        if (!(error instanceof ReadError)) throw error;
        if (error.code === 'unmapped') {
          frame += perSection - (frame % perSection);
          if (frame > agreed && ++empty > MAX_EMPTY) {
            const message = `end of memory: page frame ${last} is said, and ${MAX_EMPTY} sections before it are not there`;
            this.#warnings.add('corrupt', message);
            look?.missed();
            break;
          }
          continue;
        }
        const matched = this.#byMember(first, count, shapes, look);
        window = { view: matched.view, base: 0 };
        missing += matched.missing;
      }
      // The slabs are collected first, because the consumer reads the content of the slots.
      for (const slab of this.#slabs({ frame, first, count }, window, shapes, look))
        yield* this.#objects(slab, shapes.get(slab.cache)!);
      frame += count;
    }
    look?.ended();
    if (missing === 0) {
      for (const [cache, { slabs }] of shapes) this.#checkTotal(cache, slabs);
    } else {
      this.#warnings.add(
        'unreadable',
        `the struct pages of ${missing} page frames cannot be read: sockets that no process has open may be missing`,
      );
    }
  }

  /**
   * Returns the slabs of those caches among some frames. It is a separate method for speed, since it visits a
   * million frames.
   */
  #slabs(
    { frame, first, count }: Frames,
    { view, base: start }: Readonly<ByteWindow>,
    shapes: ReadonlyMap<bigint, Shape>,
    look: PageVisitor | undefined,
  ): Slab[] {
    const slabs: Slab[] = [];
    const isSlab = this.#isSlab;
    const stride = this.#stride;
    for (let index = 0; index < count; index++) {
      const base = start + index * stride;
      if (!isSlab(view, base)) {
        look?.page(frame + index, view, base);
        continue;
      }
      const cache = view.getBigUint64(base + this.#cacheOffset, true);
      look?.slab(cache, view, base);
      const shape = shapes.get(cache);
      if (!shape) continue;
      shape.slabs++;
      const claimed = readUnsigned(view, base + this.#objectCount.offset, this.#objectCount);
      const page = first + BigInt(index * stride);
      slabs.push({ page, cache, objects: this.#checked(page, claimed, shape) });
    }
    return slabs;
  }

  /**
   * Reads the available members of some struct pages, for a dump with holes in them: an extract contains only
   * these members. A missing struct page reads as no slab.
   */
  #byMember(
    first: bigint,
    count: number,
    caches: ReadonlyMap<bigint, unknown>,
    look: PageVisitor | undefined,
  ): { view: DataView; missing: number } {
    const bytes = new Uint8Array(count * this.#stride);
    const view = new DataView(bytes.buffer);
    let base = 0;
    const take: Take = (offset, length) => {
      const at = base + offset;
      const read = this.#kernel.read(first + BigInt(at), length);
      bytes.set(new Uint8Array(read.buffer, read.byteOffset, length), at);
    };
    const lookAt = (cache: bigint | undefined): void => {
      if (!isThere(() => look?.fetch(cache, take, view, base))) look?.missed();
    };
    let missing = 0;
    for (; base < bytes.length; base += this.#stride) {
      const known = isThere(() => {
        take(this.#testBytes.offset, this.#testBytes.length);
        if (!this.#isSlab(view, base)) return;
        take(this.#cacheOffset, 8);
        if (!caches.has(view.getBigUint64(base + this.#cacheOffset, true))) return;
        take(this.#objectCount.offset, this.#objectCount.size);
      });
      if (!known) {
        bytes.fill(0, base, base + this.#stride);
        missing++;
        look?.missed();
      } else if (!this.#isSlab(view, base)) {
        lookAt(undefined);
      } else {
        lookAt(view.getBigUint64(base + this.#cacheOffset, true));
      }
    }
    return { view, missing };
  }

  *#objects(slab: Slab, { size, pad, root }: Shape): Generator<Slot> {
    const start = this.#kernel.pages.addressOfPage(slab.page);
    if (start === undefined) return;
    for (let index = 0; index < slab.objects; index++) {
      yield { cache: root, object: start + BigInt(index * size + pad), slab };
    }
  }

  /** Returns the number of objects of a slab, which is one that its cache makes. */
  #checked(page: bigint, claimed: number, { shapes }: Shape): number {
    const fault = faultOfCount(page, claimed, shapes);
    if (fault === undefined || shapes === undefined) return claimed;
    // A live kernel may create another slab while this one is read.
    if (!this.#kernel.facts.live) this.#warnings.add('corrupt', fault);
    return Math.max(...shapes.map(({ objects }) => objects));
  }

  /**
   * Compares the number of slabs found with the cache's own count, which is the only sign of a slab whose
   * `struct page` is lost. More may be found than counted: KFENCE pages are slabs too. A live kernel creates
   * and frees slabs meanwhile, and an extract may lack the count.
   */
  #checkTotal(cache: bigint, met: number): void {
    if (this.#kernel.facts.live) return;
    const counted = readOrNot(() => slabsCounted(this.#kernel, cache));
    if (counted === undefined || met >= counted) return;
    this.#warnings.add(
      'corrupt',
      `the slab cache at ${hex(cache)} counts ${counted} slabs, ${met} were found: sockets that no process has open may be missing`,
    );
  }

  #shape(cache: bigint, root: bigint): Shape {
    const view = this.#cache.read(cache);
    const size = view.number('size');
    if (size < 8 || size > 2 ** 26) throw damaged(`the slab cache at ${hex(cache)} is not sound`);
    return { size, pad: view.number('red_left_pad'), root, shapes: this.#shapes.of(cache), slabs: 0 };
  }
}

/** Consecutive page frames. */
interface Frames {
  /** Number of the first frame. */
  readonly frame: number;
  /** Address of its `struct page`. */
  readonly first: bigint;
  readonly count: number;
}

interface Shape {
  readonly size: number;
  readonly pad: number;
  /** The cache itself, or its root cache if it is a copy. */
  readonly root: bigint;
  /** Shapes of its slabs; undefined if an extract lacks them. */
  readonly shapes: readonly SlabShape[] | undefined;
  /** Number of slabs found. */
  slabs: number;
}

/** Whether everything that a step reads is available. */
function isThere(step: () => void): boolean {
  try {
    step();
    return true;
  } catch (error) {
    if (error instanceof ReadError) return false;
    throw error;
  }
}
