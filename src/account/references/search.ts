import { KernelError, WalkError } from '../../base/errors.js';
import type { RefsAnswer } from '../../contracts/refs.js';
import type { Identity } from '../../contracts/whatis.js';
import type { Kernel, KernelFacts } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import type { CategoryName } from '../../records/categories.js';
import { needSymbol } from '../../walk/cpus.js';
import { alignedBlock, looseBlocks } from '../../walk/pages/block.js';
import { PageReader } from '../../walk/pages/pages.js';
import { ChildCaches, SlabCacheNames } from '../../walk/pages/slab-caches.js';
import { SlabScan } from '../../walk/pages/slab-scan.js';
import { SlotUse } from '../../walk/pages/slot-use.js';
import { Targets } from '../../walk/references/target-index.js';
import { StructReader } from '../../walk/struct-reader.js';
import { type Warning, Warnings } from '../../walk/warnings.js';
import type { SymbolsByAddress } from '../known-addresses.js';
import { AddressIdentifier } from '../whatis.js';
import { findReferences, type ReferencesFound } from './references.js';

/** Targets of `refs`: addresses, page frames, the objects of a slab cache, the pages of a category. */
export interface RefsTargets {
  readonly addresses?: readonly bigint[];
  readonly frames?: readonly number[];
  /** Name of a slab cache: all of its objects. */
  readonly cache?: string | undefined;
  /** All pages of a category. */
  readonly category?: CategoryName | undefined;
}

/** References to targets of one kernel. */
export interface RefsFound {
  readonly kernel: KernelFacts;
  readonly found: ReferencesFound;
  readonly targetCount: number;
  readonly targetAt: (number: number) => RefsAnswer['targets'][number];
  /** Maximum number of targets, groups and references in a list. */
  readonly limit: number;
  readonly complete: boolean;
  readonly warnings: readonly Warning[];
}

/** Returns a function that receives the completed part of an activity, 0 to 1. */
export type ProgressOf = (doing: string) => (part: number) => void;

/**
 * Searches all memory of a dump for references.
 *
 * @throws {KernelError} `unsupported-format` for an extract or a running kernel; {@link WalkError} where a target does not exist,
 * `overlapping-targets`, `too-many-targets`; as findReferences does
 */
export async function searchReferences(
  kernel: Kernel,
  symbols: SymbolsByAddress | undefined,
  { addresses = [], frames = [], cache, category }: RefsTargets,
  limit: number,
  progress: ProgressOf = () => () => {},
): Promise<RefsFound> {
  needDump(kernel, 'refs');
  const warnings = new Warnings(kernel.doubts);
  const passing = progress('scanning page frames');
  const identifier = new AddressIdentifier(kernel, symbols, warnings, passing);
  const finder = new TargetFinder(kernel, identifier, warnings);
  for (const frame of frames) finder.addFrame(frame);
  for (const address of addresses) finder.addAddress(address);
  if (cache !== undefined) finder.addCache(cache, progress('searching slabs'));
  if (category !== undefined) finder.addCategory(category);
  const targets = finder.targets.index(kernel);
  const scanning = progress('scanning memory');
  const references = await findReferences(kernel, identifier, targets, limit, warnings, scanning);
  return {
    kernel: kernel.facts,
    found: references,
    targetCount: targets.size,
    targetAt: (number) => {
      const target = targets.at(number);
      return {
        address: targets.addressOf(kernel, number),
        bytes: target.length,
        pages: 'complete' in target && target.complete,
        references: references.perTarget[number] ?? 0,
      };
    },
    limit,
    complete: warnings.complete,
    warnings: warnings.list(),
  };
}

/** Refuses an extract and a running kernel. @throws {KernelError} `unsupported-format` */
export function needDump(kernel: Kernel, query: string): void {
  const isExtract = kernel.physical?.isExtract;
  if (!isExtract && !kernel.facts.live) return;
  const [what, why, next] = isExtract
    ? ['extract', 'most memory was left out', 'Use the original dump.']
    : ['running kernel', 'its memory changes', 'Use a dump.'];
  const message = `${what}: not supported by ${query} (${why})`;
  throw new KernelError('unsupported-format', message, { next });
}

/** Bytes of an address that is part of nothing known. */
const WORD = 8;

/** Maximum size of a symbol: the distance to the next one. */
const MAX_SYMBOL = 2 ** 26;

/** Turns addresses, slab caches and categories into targets. */
export class TargetFinder {
  readonly #kernel: Kernel;
  readonly #identifier: AddressIdentifier;
  readonly #warnings: Warnings;
  readonly #targets = new Targets();

  constructor(kernel: Kernel, identifier: AddressIdentifier, warnings: Warnings) {
    this.#kernel = kernel;
    this.#identifier = identifier;
    this.#warnings = warnings;
  }

  get targets(): Targets {
    return this.#targets;
  }

  /** Adds a page frame: the block that it is part of, if that is recorded; of a slab the frame alone. */
  addFrame(frame: number): void {
    const { pageSize } = this.#kernel.facts;
    const block = new PageReader(this.#kernel).block(this.#kernel.pages.pageOfFrame(frame));
    const isBlock = block.kind === 'page' && block.order !== undefined;
    const [first, frames] = isBlock ? [block.frame, 2 ** block.order!] : [frame, 1];
    this.#targets.add({ start: first * pageSize, length: frames * pageSize, complete: true });
  }

  /** Adds what an address is part of: the object, stack, area, symbol or page. */
  addAddress(address: bigint): Identity {
    const identity = this.#identifier.of(address);
    const { object, frame } = identity;
    switch (object?.kind) {
      case 'slab-object':
        this.#addBytes(object.start, object.size);
        break;
      case 'page-struct':
        this.addFrame(object.frame);
        break;
      case 'stack':
        this.#addBytes(address - BigInt(object.offset), object.size);
        break;
      case 'vmalloc-area':
        this.#addBytes(object.start, object.size);
        break;
      case 'symbol': {
        const start = address - BigInt(object.offset);
        this.#addBytes(start, this.#symbolBytes(start));
        break;
      }
      default:
        if (frame === null) this.#addBytes(address - (address % BigInt(WORD)), WORD);
        else this.addFrame(frame);
    }
    return identity;
  }

  #addBytes(address: bigint, length: number): void {
    const frame = this.#kernel.pages.frameOf(new Pointer(address));
    if (frame < 0) {
      this.#targets.addVirtual({ address, length });
      return;
    }
    const { pageSize } = this.#kernel.facts;
    const start = frame * pageSize + Number(address % BigInt(pageSize));
    this.#targets.add({ start, length, complete: false });
  }

  /** Bytes up to the next symbol. */
  #symbolBytes(start: bigint): number {
    const isSame = (bytes: number): boolean => {
      const { object } = this.#identifier.of(start + BigInt(bytes));
      return object?.kind === 'symbol' && object.offset === bytes;
    };
    let [low, high] = [0, 1];
    while (high < MAX_SYMBOL && isSame(high)) [low, high] = [high, 2 * high];
    while (low + 1 < high) {
      const middle = Math.floor((low + high) / 2);
      if (isSame(middle)) low = middle;
      else high = middle;
    }
    return high;
  }

  /**
   * Adds all objects of a slab cache that are in use, or may be.
   *
   * @throws {WalkError} `no-such-cache`, `too-many-targets`
   */
  addCache(name: string, progress?: (part: number) => void): void {
    const kernel = this.#kernel;
    const names = new SlabCacheNames(kernel);
    const reader = new StructReader(kernel, 'kmem_cache', ['list']);
    const children = new ChildCaches(kernel);
    const caches = new Set<bigint>();
    for (const cache of reader.entryAddresses(needSymbol(kernel, 'slab_caches'), 'list'))
      if (names.of(cache).name === name && children.rootOf(cache) === cache) caches.add(cache);
    if (caches.size === 0) throw new WalkError('no-such-cache', `the kernel has no slab cache ${name}`);
    const use = new SlotUse(kernel, this.#warnings);
    const [cache] = caches;
    const { objectSize } = names.of(cache!);
    for (const slot of new SlabScan(kernel, this.#warnings).slots(caches, { progress }))
      if (use.isInUse(slot) !== false) this.#addBytes(slot.object, objectSize);
  }

  /** Adds all blocks of pages of a category. */
  addCategory(category: CategoryName): void {
    const ledger = this.#identifier.places()?.ledger;
    if (!ledger) return;
    const { pageSize } = this.#kernel.facts;
    for (const { frame, frames } of looseBlocks(this.#kernel, ledger.framesOf(category)))
      this.#targets.add({ start: frame * pageSize, length: frames * pageSize, complete: true });
  }
}

/**
 * Finds pages that may be part of the allocation of the pages before them: alloc_pages_exact makes single pages of a
 * block (split_page, mm/page_alloc.c), and only the first has a pointer. Frames are passed in ascending order.
 */
export class SplitBlocks {
  readonly #isTable: (frame: number) => boolean;
  #next = -1;
  #end = 0;

  /** @param isTable whether a frame is part of a hash table of the kernel */
  constructor(isTable: (frame: number) => boolean) {
    this.#isTable = isTable;
  }

  /** Notes a page to which something refers. @param exactly a pointer to its first byte exists */
  referenced(frame: number, exactly: boolean): void {
    // A referenced page within the block may be one of its pages, too.
    if (frame >= this.#end || frame !== this.#next) this.#end = exactly ? frame + alignedBlock(frame) : frame;
    this.#next = frame + 1;
  }

  /** Whether a page to which nothing refers may be part of the allocation before it. */
  follows(frame: number): boolean {
    if (frame !== this.#next && this.#isTable(frame - 1)) {
      let first = frame - 1;
      while (this.#isTable(first - 1)) first--;
      [this.#next, this.#end] = [frame, first + alignedBlock(first)];
    }
    if (frame !== this.#next || frame >= this.#end) return false;
    this.#next++;
    return true;
  }
}
