import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { AddressIndex } from '../address-index.js';
import { flagTest, memberOf, type PageTest, struct } from '../pages/struct-page.js';
import { KIND } from './page-kinds.js';

/** Number of page frames of one file, identified by the `struct address_space` in their `struct page`s. */
export interface FileFrameCount {
  readonly mapping: bigint;
  /** Number of page cache frames; number of tmpfs and other shared memory frames. */
  readonly cache: number;
  readonly shared: number;
  /** Of these: dirty, and under writeback. Shared memory is always dirty. */
  readonly dirty: number;
  readonly writeback: number;
}

/** Maximum number of distinct files; frames of further ones are counted together. */
const MOST_FILES = 2 ** 21 - 1;

/** Figures of each file. */
const FIELDS = 4;
const [CACHE, SHARED, DIRTY, WRITEBACK] = [0, 1, 2, 3];

/** Counts page frames by file during the scan of `struct page`s. */
export class FileFrames {
  readonly #mappingAt: number;
  readonly #isDirty: PageTest;
  readonly #isWriteback: PageTest;
  readonly #mappings = new AddressIndex();
  #counts = new Float64Array(FIELDS * 16);
  #frames = 0;
  /** Mapping of the most recent file; row -1: there is none yet. */
  readonly #mapping = new Pointer();
  readonly #next = new Pointer();
  #row = -1;
  /** Index of the figure that the current block adds to. */
  #field = CACHE;
  #dirty = 0;
  #writeback = 0;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    const page = struct(kernel, 'page');
    this.#mappingAt = memberOf(page, 'mapping').offset;
    this.#isDirty = flagTest(kernel, page, 'PG_dirty');
    this.#isWriteback = flagTest(kernel, page, 'PG_writeback');
  }

  /** Starts a block of a file at the first of its `struct page`s; {@link count} then counts its frames. */
  begin(view: DataView, base: number, kind: number): void {
    const mapping = this.#next.load(view, base + this.#mappingAt);
    if (this.#row < 0 || !mapping.equals(this.#mapping)) {
      this.#row = this.#rowOf(mapping);
      this.#mapping.after(mapping, 0);
    }
    this.#field = FIELDS * this.#row + (kind === KIND.shmem ? SHARED : CACHE);
    this.#dirty = this.#isDirty(view, base) ? 1 : 0;
    this.#writeback = this.#isWriteback(view, base) ? 1 : 0;
  }

  /** Counts one more frame of the block. */
  count(): void {
    this.#add(1);
  }

  #add(frames: number): void {
    this.#frames += frames;
    const counts = this.#counts;
    counts[this.#field]! += frames;
    if (this.#dirty + this.#writeback === 0) return;
    const row = FIELDS * this.#row;
    counts[row + DIRTY]! += frames * this.#dirty;
    counts[row + WRITEBACK]! += frames * this.#writeback;
  }

  /**
   * Subtracts a frame that turned out not to belong to a file, given its `struct page`. @returns whether it
   * had been counted
   */
  remove(view: DataView, base: number, kind: number): boolean {
    const mapping = view.getBigUint64(base + this.#mappingAt, true);
    if (this.#mappings.find(mapping) < 0) return false;
    this.begin(view, base, kind);
    this.#add(-1);
    return true;
  }

  /** Number of frames of all files. */
  get frames(): number {
    return this.#frames;
  }

  /** Number of files; one with mapping 0n represents those beyond the maximum. */
  get size(): number {
    return this.#mappings.size;
  }

  /**
   * Files with frames, largest first; files of equal size in the order found.
   *
   * @param of kind of frames that count; undefined: both
   */
  *largest(of?: 'cache' | 'shared'): Generator<FileFrameCount> {
    const [cached, own] = [of === 'shared' ? 0 : 1, of === 'cache' ? 0 : 1];
    const counts = this.#counts;
    const keys = new Float64Array(this.size);
    // One number per file, which sorts without a comparator: there are at most 2^21 files and fewer than 2^32
    // frames.
    for (let row = 0; row < keys.length; row++) {
      const all = cached * counts[FIELDS * row + CACHE]! + own * counts[FIELDS * row + SHARED]!;
      keys[row] = all === 0 ? 0 : all * (MOST_FILES + 1) + (MOST_FILES - row);
    }
    keys.sort();
    for (let index = keys.length - 1; index >= 0 && keys[index] !== 0; index--) {
      const row = MOST_FILES - (keys[index]! % (MOST_FILES + 1));
      const [cache = 0, shared = 0, dirty = 0, writeback = 0] = this.#counts.subarray(
        FIELDS * row,
        FIELDS * (row + 1),
      );
      yield { mapping: this.#mappings.address(row), cache, shared, dirty, writeback };
    }
  }

  #rowOf(mapping: Pointer): number {
    const row =
      this.size < MOST_FILES
        ? this.#mappings.addPointer(mapping)
        : this.#mappings.findPointer(mapping);
    // Address 0, which no file has, represents the files beyond the maximum.
    const known = row < 0 ? this.#mappings.add(0n) : row;
    if (FIELDS * known >= this.#counts.length) {
      const counts = new Float64Array(2 * this.#counts.length);
      counts.set(this.#counts);
      this.#counts = counts;
    }
    return known;
  }
}
