import type { Place } from '../../contracts/refs.js';
import type { Identity } from '../../contracts/whatis.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { CategoryName } from '../../records/categories.js';
import type { ReferenceSource } from '../../records/references.js';
import type { FrameRange } from '../../walk/memory/ram.js';
import { PageReader } from '../../walk/pages/pages.js';
import { type SlabCache, SlabCacheNames } from '../../walk/pages/slab-caches.js';
import type { Slab } from '../../walk/pages/slab-scan.js';
import { SlotUse } from '../../walk/pages/slot-use.js';
import { struct } from '../../walk/pages/struct-page.js';
import type { Warnings } from '../../walk/warnings.js';
import { attempted } from '../memory/missed.js';
import type { AddressIdentifier } from '../whatis.js';
import { MappedFrames } from './mapped-frames.js';

/** Places that hold references and are alike. */
export interface Holder extends Place {
  readonly source: Exclude<ReferenceSource, 'target'>;
}

/** Returns what JSON has. */
export const placeOf = ({ source: _, ...place }: Holder): Place => place;

/** Categories of memory with content of processes and files. */
const USER: ReadonlySet<string> = new Set(['anonymous', 'page-cache', 'shared', 'secret', 'swap-cache', 'hugetlb']);

/** Facts about a page frame that its references share. */
type FrameFacts =
  | {
      readonly kind: 'slab';
      readonly cache: CacheFacts;
      /** Physical address of the first object. */
      readonly start: number;
      readonly slab: Slab;
    }
  /** `into`: bytes from the array's start to the frame's. */
  | { readonly kind: 'struct-pages'; readonly into: number }
  | { readonly kind: 'named' }
  | { readonly kind: 'one'; readonly holder: Holder };

interface CacheFacts extends SlabCache {
  readonly name: string;
  readonly category: CategoryName | null;
  /** By offset and source. */
  readonly holders: Map<number, Holder>;
}

/** Finds what holds references, many per second: places of one kind have one holder. */
export class Holders {
  readonly #kernel: Kernel;
  readonly #identifier: AddressIdentifier;
  readonly #warnings: Warnings;
  readonly #mapped: MappedFrames;
  readonly #pages: PageReader;
  readonly #names: SlabCacheNames;
  readonly #slots: SlotUse;
  readonly #caches = new Map<bigint, CacheFacts>();
  readonly #structPages = new Map<number, Holder>();
  /** Holders that are no objects, by what they are. */
  readonly #others = new Map<string, Holder>();
  #frame = -1;
  #facts: FrameFacts | undefined;
  #slab: Slab | undefined;

  constructor(kernel: Kernel, identifier: AddressIdentifier, ram: readonly FrameRange[], warnings: Warnings) {
    this.#kernel = kernel;
    this.#identifier = identifier;
    this.#warnings = warnings;
    this.#mapped = new MappedFrames(kernel, ram, warnings);
    this.#pages = new PageReader(kernel);
    this.#names = new SlabCacheNames(kernel);
    this.#slots = new SlotUse(kernel, warnings);
  }

  /** The address by which the kernel uses physical memory. */
  addressOf(physical: number): bigint {
    const { pageSize } = this.#kernel.facts;
    const frame = Math.floor(physical / pageSize);
    const page = this.#mapped.addressOf(frame) ?? this.#kernel.pages.addressOfFrame(frame) ?? 0n;
    return page + BigInt(physical - frame * pageSize);
  }

  identify(physical: number): Identity {
    return this.#identifier.of(this.addressOf(physical));
  }

  /** Page frame whose `struct page` is at a physical address; -1: none. */
  describedFrame(physical: number): number {
    const facts = this.#factsOf(physical);
    if (facts.kind !== 'struct-pages') return -1;
    return this.#structPage(physical, facts).frame;
  }

  /** Holder of a reference at a physical address. Addresses in ascending order are fastest. */
  at(physical: number): Holder {
    const facts = this.#factsOf(physical);
    switch (facts.kind) {
      case 'slab':
        return this.#inSlab(physical, facts);
      case 'struct-pages': {
        const { offset } = this.#structPage(physical, facts);
        return this.#structPages.get(offset) ?? kept(this.#structPages, offset, this.#holderAt(physical));
      }
      case 'named':
        return this.#shared(this.#holderAt(physical));
      case 'one':
        return facts.holder;
    }
  }

  #factsOf(physical: number): FrameFacts {
    const { pageSize } = this.#kernel.facts;
    const frame = Math.floor(physical / pageSize);
    if (frame !== this.#frame || this.#facts === undefined) {
      this.#frame = frame;
      this.#facts =
        attempted(this.#warnings, `page frame ${frame}`, () => this.#read(frame)) ??
        ({ kind: 'one', holder: UNKNOWN } as const);
    }
    return this.#facts;
  }

  #read(frame: number): FrameFacts {
    const { pageSize } = this.#kernel.facts;
    const mapped = this.#mapped.addressOf(frame);
    if (mapped !== undefined) {
      const { object } = this.#identifier.of(mapped);
      if (object?.kind === 'page-struct')
        return { kind: 'struct-pages', into: Number(mapped - this.#kernel.pages.pageOfFrame(0)) };
      // An area has one holder; symbols and per-CPU variables differ within a page.
      const isArea = object?.kind === 'stack' || object?.kind === 'vmalloc-area';
      if (!isArea) return { kind: 'named' };
      return { kind: 'one', holder: this.#shared(this.#holderAt(frame * pageSize)) };
    }
    const block = this.#pages.block(this.#kernel.pages.pageOfFrame(frame));
    if (block.kind === 'slab') {
      const { cache, frame: first } = block;
      const page = this.#kernel.pages.pageOfFrame(first);
      const objects = this.#identifier.slotsOf(page) ?? Number.POSITIVE_INFINITY;
      if (this.#slab?.page !== page) this.#slab = { page, cache: cache.address, objects };
      const start = first * pageSize + cache.pad;
      return { kind: 'slab', cache: this.#cache(cache, start), start, slab: this.#slab };
    }
    const category = this.#identifier.categoryOf(frame);
    // Variables of CPUs are in the direct map.
    if (category === 'percpu' || category === 'image') return { kind: 'named' };
    return { kind: 'one', holder: this.#shared(pageHolder(category)) };
  }

  #cache(cache: SlabCache, sample: number): CacheFacts {
    const known = this.#caches.get(cache.address);
    if (known) return known;
    const { name } = this.#names.of(cache.address);
    const { category } = this.identify(sample);
    return kept(this.#caches, cache.address, { ...cache, name, category, holders: new Map() });
  }

  #inSlab(physical: number, { cache, start, slab }: FrameFacts & { kind: 'slab' }): Holder {
    const { name, slotSize, pad, category } = cache;
    const index = Math.floor((physical - start) / slotSize);
    const unknown = { kind: 'slab-padding', name, offset: null, member: null, category } as const;
    if (index < 0 || index >= slab.objects) return this.#shared({ ...unknown, source: 'free' });
    const first = this.#kernel.pages.addressOfPage(slab.page);
    if (first === undefined) return this.#shared({ ...unknown, source: 'kernel' });
    const object = first + BigInt(index * slotSize + pad);
    const isFree = this.#slots.isInUse({ cache: slab.cache, object, slab }) === false;
    const offset = physical - start - index * slotSize;
    const key = 2 * offset + (isFree ? 1 : 0);
    const known = cache.holders.get(key);
    if (known) return known;
    const { object: seen } = this.identify(physical);
    const member = seen?.kind === 'slab-object' ? seen.member : null;
    const source = isFree ? 'free' : 'kernel';
    return kept(cache.holders, key, { ...unknown, kind: 'slab-object', offset, member, source });
  }

  #structPage(
    physical: number,
    { into }: FrameFacts & { kind: 'struct-pages' },
  ): { readonly frame: number; readonly offset: number } {
    const at = into + (physical % this.#kernel.facts.pageSize);
    const { size } = struct(this.#kernel, 'page');
    return { frame: Math.floor(at / size), offset: at % size };
  }

  #holderAt(physical: number): Holder {
    const { object, category, frame } = this.identify(physical);
    // A part of the image that was freed after boot is a page like others.
    if (object === null || object.kind === 'page')
      return pageHolder(category ?? (frame === null ? null : this.#identifier.categoryOf(frame)));
    const name =
      object.kind === 'symbol'
        ? `${object.name}${object.module === null ? '' : ` [${object.module}]`}`
        : object.kind === 'vmalloc-area'
          ? object.caller
          : null;
    const offset = object.kind === 'page-struct' ? object.offset : null;
    const known = category ?? (frame === null ? null : this.#identifier.categoryOf(frame));
    const source = sourceOf(known);
    return { kind: object.kind, name, offset, member: null, category: known, source };
  }

  /** One object for equal holders. */
  #shared(holder: Holder): Holder {
    const key = `${holder.kind} ${holder.category} ${holder.source} ${holder.name}`;
    return this.#others.get(key) ?? kept(this.#others, key, holder);
  }
}

const UNKNOWN: Holder = { kind: 'unknown', name: null, offset: null, member: null, category: null, source: 'kernel' };

function sourceOf(category: CategoryName | null): Holder['source'] {
  if (category === null) return 'kernel';
  return category.startsWith('free-') ? 'free' : USER.has(category) ? 'user' : 'kernel';
}

function pageHolder(category: CategoryName | null): Holder {
  return { ...UNKNOWN, kind: 'page', category, source: sourceOf(category) };
}

function kept<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): Value {
  map.set(key, value);
  return value;
}
