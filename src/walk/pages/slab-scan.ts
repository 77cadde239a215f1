import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { ByteWindow } from '../../kernel/fast-reads.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import { Cursor } from '../cursor.js';
import { readOrNot } from '../read-or-not.js';
import { readUnsigned, StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { ChildCaches } from './child-caches.js';
import { framesPerSection, pagesPerChunk } from './chunk-sizes.js';
import { memoryEnd } from './memory-end.js';
import { slabsCounted } from './slab-totals.js';
import { type PageTest, slabCacheOffset, slabTest, slabTestBytes } from './struct-page.js';

/** A slot of a slab, in use or free: the allocator's lists are not consulted. */
export interface Slot {
  /** Address of the `struct kmem_cache` that was asked for; the slab may be of one of its copies. */
  readonly cache: bigint;
  /** Address of the object in it. */
  readonly object: bigint;
  readonly slab: Slab;
}

/** A slab of a cache whose slots are told. */
export interface Slab {
  /** Address of its first `struct page`. */
  readonly page: bigint;
  readonly cache: bigint;
  readonly objects: number;
}

/** Takes bytes of one `struct page` into a view of many: `offset` is from its start. */
export type Take = (offset: number, length: number) => void;

/** Looks at page frames while they are scanned for slots. */
export interface PageVisitor {
  /** A slab: its `struct page` lies at `base` of the view, and behind it the next one. */
  slab(cache: bigint, view: DataView, base: number): void;
  /** Any page that is no slab's, a tail page perhaps. */
  page(frame: number, view: DataView, base: number): void;
  /**
   * Takes what it looks at of a `struct page` that cannot be had whole: of a slab of this cache, or
   * of a page that is no slab's.
   */
  fetch(cache: bigint | undefined, take: Take, view: DataView, base: number): void;
  /** What it looks at of some struct pages could not be had: it is not told of all of them. */
  missed(): void;
  /** All frames have been looked at. */
  ended(): void;
}

/**
 * Sections without an array that are passed over where only one witness says that memory goes on:
 * 16 TiB. What a damaged word says may be millions of times as much.
 */
const MOST_EMPTY = 2 ** 17;

/** The low bits of `kmem_cache_order_objects.x` count objects, those above give the order (OO_MASK in mm/slub.c). */
const OBJECTS = 0xffff;

/**
 * Every slot of every slab of some caches. SLUB keeps no list of its full slabs, so the only way to
 * find them all is through the `struct page` of every page frame (as drgn does it).
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
  readonly #orders: StructReader<'oo.x' | 'min.x'> | undefined;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel, warnings: Warnings) {
    const page = kernel.struct('page');
    if (!page) throw new KernelError('unsupported-layout', 'this kernel has no struct page');
    this.#kernel = kernel;
    this.#warnings = warnings;
    this.#stride = page.size;
    this.#isSlab = slabTest(kernel, page);
    this.#testBytes = slabTestBytes(kernel, page);
    this.#cacheOffset = slabCacheOffset(kernel, page);
    const objects = kernel.struct('slab')?.member('objects') ?? page.member('objects');
    if (!objects) {
      throw new KernelError(
        'unsupported-layout',
        'neither struct slab nor struct page counts objects',
      );
    }
    this.#objectCount = objects;
    this.#cache = new StructReader(kernel, 'kmem_cache', ['size', 'red_left_pad']);
    const layout = kernel.struct('kmem_cache');
    if (layout?.member('oo.x') && layout.member('min.x'))
      this.#orders = new StructReader(kernel, 'kmem_cache', ['oo.x', 'min.x']);
  }

  /**
   * @param progress told now and then which part of all frames is done, 0 to 1
   * @param look sees each page frame as well, so that memory is gone through once
   * @throws as {@link memoryEnd}
   */
  *slots(
    caches: ReadonlySet<bigint>,
    progress: (part: number) => void = () => {},
    look?: PageVisitor,
  ): Generator<Slot> {
    const shapes = new Map<bigint, Shape>();
    const children = new ChildCaches(this.#kernel);
    for (const cache of caches) {
      shapes.set(cache, this.#shape(cache, cache));
      for (const child of children.of(cache)) shapes.set(child, this.#shape(child, cache));
    }
    const { frame: last, agreed, faults } = memoryEnd(this.#kernel);
    for (const { code, message } of faults)
      this.#warnings.add(code, `where memory ends: ${message}`);
    const perChunk = pagesPerChunk(this.#stride);
    const perSection = framesPerSection(this.#kernel.facts.pageSize);
    const pages = new Cursor(this.#kernel, 'struct page');
    let missing = 0;
    let empty = 0;
    for (let frame = 0; frame < last; ) {
      // Not beyond a section: the next one may be missing.
      const count = Math.min(perChunk, last - frame, perSection - (frame % perSection));
      progress(frame / last);
      const first = this.#kernel.pages.pageOfFrame(frame);
      let window: Readonly<ByteWindow>;
      try {
        window = pages.to(first).look(0, count * this.#stride);
      } catch (error) {
        if (!(error instanceof ReadError)) throw error;
        if (error.code === 'unmapped') {
          frame += perSection - (frame % perSection);
          if (frame > agreed && ++empty > MOST_EMPTY) {
            const message = `where memory ends: page frame ${last} is said, and ${MOST_EMPTY} sections before it are not there`;
            this.#warnings.add('corrupt', message);
            look?.missed();
            break;
          }
          continue;
        }
        const found = this.#byMember(first, count, shapes, look);
        window = { view: found.view, base: 0 };
        missing += found.missing;
      }
      // Whoever takes the slots reads what is in them.
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

  /** The slabs of those caches among some frames; of its own, since a million frames go through it. */
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
   * As much of some struct pages as is there, for a dump that has holes in them: an extract has no
   * more than these members. What is missing reads as no slab.
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

  /**
   * How many objects a slab has: as many as its cache puts into slabs of its order, or of the least order that it
   * falls back to (`oo` and `min`, allocate_slab() in mm/slub.c). A page of KFENCE is a slab of one object.
   */
  #checked(page: bigint, claimed: number, { counts }: Shape): number {
    if (counts === undefined || counts.includes(claimed) || claimed === 1) return claimed;
    // Another may be made while it is read.
    if (!this.#kernel.facts.live)
      this.#warnings.add(
        'corrupt',
        `the slab at ${hex(page)} claims ${claimed} objects, and slabs of its cache have ${[...new Set(counts)].join(' or ')}`,
      );
    return Math.max(...counts);
  }

  /**
   * A slab whose `struct page` is lost is seen by its cache's own count alone. More may be met than it
   * counts: KFENCE's pages are slabs too. A live kernel makes and frees slabs meanwhile, and an extract
   * may lack the count.
   */
  #checkTotal(cache: bigint, met: number): void {
    if (this.#kernel.facts.live) return;
    let counted: number | undefined;
    try {
      counted = slabsCounted(this.#kernel, cache);
    } catch (error) {
      if (error instanceof ReadError) return;
      throw error;
    }
    if (counted === undefined || met >= counted) return;
    this.#warnings.add(
      'corrupt',
      `the slab cache at ${hex(cache)} counts ${counted} slabs, ${met} were found: sockets that no process has open may be missing`,
    );
  }

  #shape(cache: bigint, root: bigint): Shape {
    const view = this.#cache.read(cache);
    const size = view.number('size');
    if (size < 8 || size > 2 ** 26) {
      throw new KernelError('damaged', `the slab cache at ${hex(cache)} is not sound`);
    }
    const counts = this.#orders && readOrNot(() => this.#orders?.read(cache));
    return {
      size,
      pad: view.number('red_left_pad'),
      root,
      counts: counts && [counts.number('oo.x') & OBJECTS, counts.number('min.x') & OBJECTS],
      slabs: 0,
    };
  }
}

/** Page frames in a row. */
interface Frames {
  /** Number of the first. */
  readonly frame: number;
  /** Address of its `struct page`. */
  readonly first: bigint;
  readonly count: number;
}

interface Shape {
  readonly size: number;
  readonly pad: number;
  /** The cache itself, or the one that it is a copy of. */
  readonly root: bigint;
  /** Objects of a slab, by its cache; undefined: an extract may lack that. */
  readonly counts: readonly number[] | undefined;
  /** How many were met. */
  slabs: number;
}

/** Whether all that a step reads is there. */
function isThere(step: () => void): boolean {
  try {
    step();
    return true;
  } catch (error) {
    if (error instanceof ReadError) return false;
    throw error;
  }
}
