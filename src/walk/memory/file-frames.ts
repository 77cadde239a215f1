import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { AddressIndex } from '../address-index.js';
import { flagTest, memberOf, type PageTest, struct } from '../pages/struct-page.js';
import { KIND } from './page-kinds.js';

/** Page frames of one file, by the `struct address_space` that their `struct page`s name. */
export interface FileFrameCount {
  readonly mapping: bigint;
  /** Of the page cache; of tmpfs and other shared memory. */
  readonly cache: number;
  readonly shared: number;
  /** Of these: not written to the disk yet, and being written now. Of shared memory all is dirty. */
  readonly dirty: number;
  readonly writeback: number;
}

/** Files that are told apart; frames of any more are counted together. */
const MOST_FILES = 2 ** 21 - 1;

/** What is counted of each file. */
const FIELDS = 4;
const [CACHE, SHARED, DIRTY, WRITEBACK] = [0, 1, 2, 3];

/** Counts page frames by file, while `struct page`s are looked at one after the other. */
export class FileFrames {
  readonly #mappingAt: number;
  readonly #isDirty: PageTest;
  readonly #isWriteback: PageTest;
  readonly #mappings = new AddressIndex();
  #counts = new Float64Array(FIELDS * 16);
  #frames = 0;
  /** The file that was met last; row -1: none was. */
  readonly #mapping = new Pointer();
  readonly #next = new Pointer();
  #row = -1;
  /** What one more frame of the present block adds to. */
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

  /** Begins a block of a file, by the first of its `struct page`s; {@link count} then counts its frames. */
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

  /** Takes away a frame that proved not to be a file's, by its `struct page`. @returns whether it was one */
  remove(view: DataView, base: number, kind: number): boolean {
    const mapping = view.getBigUint64(base + this.#mappingAt, true);
    if (this.#mappings.find(mapping) < 0) return false;
    this.begin(view, base, kind);
    this.#add(-1);
    return true;
  }

  /** Frames of all files. */
  get frames(): number {
    return this.#frames;
  }

  /** How many files there are; one with mapping 0n stands for all that were too many. */
  get size(): number {
    return this.#mappings.size;
  }

  /**
   * Files with frames, those with the most first; of as many, the one that was met first.
   *
   * @param of what counts; undefined: both
   */
  *largest(of?: 'cache' | 'shared'): Generator<FileFrameCount> {
    const [cached, own] = [of === 'shared' ? 0 : 1, of === 'cache' ? 0 : 1];
    const counts = this.#counts;
    const keys = new Float64Array(this.size);
    // One number each, that sorts without asking anybody: 2^21 files, and frames below 2^32.
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
    // No file has address 0.
    const known = row < 0 ? this.#mappings.add(0n) : row;
    if (FIELDS * known >= this.#counts.length) {
      const counts = new Float64Array(2 * this.#counts.length);
      counts.set(this.#counts);
      this.#counts = counts;
    }
    return known;
  }
}
