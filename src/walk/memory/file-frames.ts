import { damaged, readOrNot } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { pointerPartOf } from '../named-read.js';
import { AddressIndex } from '../pages/frame-index.js';
import { flagTest, memberOf, type PageTest, struct } from '../pages/struct-page.js';
import { numberedNodes } from '../pages/vm-counters.js';
import { StructReader } from '../struct-reader.js';
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

/** Frames of one file that are charged to one cgroup, or to none. */
export interface FileCharge {
  readonly mapping: bigint;
  /** A `struct mem_cgroup` or a `struct obj_cgroup`; 0n: uncharged; undefined: beyond the maximum. */
  readonly charged: bigint | undefined;
  readonly frames: number;
  /** Page cache frames with PG_active; with the multi-gen LRU no page has that flag. */
  readonly active: number;
}

/** Maximum number of pairs of a file and a cgroup; frames of further ones are counted together for each file. */
const MAX_PAIRS = 2 ** 21;
/** Maximum number of cgroups (16-bit ids, dying ones, object cgroups), and one row for further ones. */
const MAX_CHARGES = 2 ** 17 - 1;
/** The lowest bits of a charge are its type (`enum page_memcg_data_flags`). */
const CHARGE_FLAGS = 7;

/** Maximum number of distinct files; frames of further ones are counted together. */
const MAX_FILES = 2 ** 21 - 1;

/** Figures of each file. */
const FIELDS = 4;
const [CACHE, SHARED, DIRTY, WRITEBACK] = [0, 1, 2, 3];

/** Counts page frames by file during the scan of `struct page`s. */
export class FileFrames {
  readonly #mappingAt: number;
  readonly #isDirty: PageTest;
  readonly #isWriteback: PageTest;
  readonly #isActive: PageTest;
  /** Offset of the charge in a `struct page`; undefined: a kernel without memory cgroups. */
  readonly #chargedAt: number | undefined;
  readonly #charges = new AddressIndex();
  /** Place of a pair in the figures of pairs, by row of the file and row of the charge. */
  readonly #pairs = new Map<number, number>();
  #pairCounts = new Float64Array(2 * 16);
  readonly #charged = new Pointer();
  readonly #lastCharged = new Pointer();
  #pair = -1;
  #active = 0;
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

  constructor(kernel: Kernel) {
    const page = struct(kernel, 'page');
    this.#mappingAt = memberOf(page, 'mapping').offset;
    this.#isDirty = flagTest(kernel, page, 'PG_dirty');
    this.#isWriteback = flagTest(kernel, page, 'PG_writeback');
    this.#isActive = flagTest(kernel, page, 'PG_active');
    this.#chargedAt = (page.member('memcg_data') ?? page.member('mem_cgroup'))?.offset;
  }

  /** Starts a block of a file at the first of its `struct page`s; {@link count} then counts its frames. */
  begin(view: DataView, base: number, kind: number): void {
    const mapping = this.#next.load(view, base + this.#mappingAt);
    const isOther = this.#row < 0 || !mapping.equals(this.#mapping);
    if (isOther) {
      this.#row = this.#rowOf(mapping);
      this.#mapping.after(mapping, 0);
    }
    if (this.#chargedAt !== undefined) {
      const charged = this.#charged.load(view, base + this.#chargedAt).clearLowBits(CHARGE_FLAGS);
      if (isOther || this.#pair < 0 || !charged.equals(this.#lastCharged)) {
        this.#pair = this.#pairOf(charged);
        this.#lastCharged.after(charged, 0);
      }
      this.#active = kind === KIND.shmem || !this.#isActive(view, base) ? 0 : 1;
    }
    this.#field = FIELDS * this.#row + (kind === KIND.shmem ? SHARED : CACHE);
    this.#dirty = this.#isDirty(view, base) ? 1 : 0;
    this.#writeback = this.#isWriteback(view, base) ? 1 : 0;
  }

  /** Counts frames of the block; negative: subtracts them. */
  count(frames = 1): void {
    this.#frames += frames;
    const counts = this.#counts;
    counts[this.#field]! += frames;
    if (this.#pair >= 0) {
      this.#pairCounts[2 * this.#pair]! += frames;
      this.#pairCounts[2 * this.#pair + 1]! += frames * this.#active;
    }
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
    this.count(-1);
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
      keys[row] = all === 0 ? 0 : all * (MAX_FILES + 1) + (MAX_FILES - row);
    }
    keys.sort();
    for (let index = keys.length - 1; index >= 0 && keys[index] !== 0; index--) {
      const row = MAX_FILES - (keys[index]! % (MAX_FILES + 1));
      const [cache = 0, shared = 0, dirty = 0, writeback = 0] = this.#counts.subarray(FIELDS * row, FIELDS * (row + 1));
      yield { mapping: this.#mappings.address(row), cache, shared, dirty, writeback };
    }
  }

  /** Frames by file and cgroup; empty for a kernel without memory cgroups. */
  *charges(): Generator<FileCharge> {
    for (const [key, pair] of this.#pairs) {
      const row = key % (MAX_CHARGES + 1);
      const [frames = 0, active = 0] = this.#pairCounts.subarray(2 * pair, 2 * pair + 2);
      if (frames === 0) continue;
      yield {
        mapping: this.#mappings.address(Math.floor(key / (MAX_CHARGES + 1))),
        charged: row < MAX_CHARGES ? this.#charges.address(row) : undefined,
        frames,
        active,
      };
    }
  }

  #pairOf(charged: Pointer): number {
    const isFull = this.#charges.size >= MAX_CHARGES || this.#pairs.size >= MAX_PAIRS;
    const column = isFull ? this.#charges.findPointer(charged) : this.#charges.addPointer(charged);
    const keyOf = (row: number) => this.#row * (MAX_CHARGES + 1) + row;
    const known = column < 0 ? undefined : this.#pairs.get(keyOf(column));
    if (known !== undefined) return known;
    const key = keyOf(isFull ? MAX_CHARGES : column);
    const pair = this.#pairs.get(key) ?? this.#pairs.size;
    this.#pairs.set(key, pair);
    if (2 * pair >= this.#pairCounts.length) {
      const counts = new Float64Array(2 * this.#pairCounts.length);
      counts.set(this.#pairCounts);
      this.#pairCounts = counts;
    }
    return pair;
  }

  #rowOf(mapping: Pointer): number {
    const row = this.size < MAX_FILES ? this.#mappings.addPointer(mapping) : this.#mappings.findPointer(mapping);
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

/**
 * Whether the multi-gen LRU is enabled, whose pages have no PG_active; undefined: unknown. The first member of the first
 * static key of `lru_gen_caps` (LRU_GEN_CORE, include/linux/mmzone.h) is its count of users.
 *
 * @throws {KernelError} `damaged` if the lists of the root memory cgroup say otherwise
 */
export function usesGenerations(kernel: Kernel): boolean | undefined {
  if (!kernel.struct('lruvec')?.member('lrugen')) return false;
  const caps = kernel.symbol('lru_gen_caps');
  if (caps === undefined) return undefined;
  const users = readOrNot(() => kernel.read(caps, 4).getInt32(0, true));
  if (users === undefined) return undefined;
  const enabled = kernel.facts.live ? undefined : enabledInRoot(kernel);
  if (enabled === undefined || enabled === users) return users > 0;
  throw damaged(`the multi-gen LRU has ${users} users, but ${enabled} is what its lists say`);
}

/** `lruvec.lrugen.enabled` of the first node; the lists of the node itself stay as they were at boot. */
function enabledInRoot(kernel: Kernel): number | undefined {
  const group = StructReader.ifPresent(kernel, 'mem_cgroup', ['nodeinfo']);
  const lists = StructReader.ifPresent(kernel, 'mem_cgroup_per_node', ['lruvec']);
  const own = StructReader.ifPresent(kernel, 'lruvec', ['lrugen.enabled']);
  const root = kernel.symbol('root_mem_cgroup');
  const [node] = numberedNodes(kernel);
  if (!group || !lists || !own || root === undefined || !node) return undefined;
  return readOrNot(() => {
    const address = pointerPartOf(kernel, 'root_mem_cgroup', root, root);
    const slot = group.addressOf(address, 'nodeinfo') + BigInt(8 * node.number);
    const info = pointerPartOf(kernel, 'struct mem_cgroup', address, slot);
    return own.read(lists.addressOf(info, 'lruvec')).number('lrugen.enabled');
  });
}
