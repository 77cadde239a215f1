import type { Losses, Reading, Sample } from '../recording.js';
import { NO_STACK } from '../site-frames.js';
import { Allocations, NONE, PlaceTable } from './allocations.js';
import { estimate } from './estimate.js';
import {
  type FollowBounds,
  type Follower,
  LossesCount,
  type SiteOf,
  type SurvivorOrder,
  type Survivors,
  survivorOf,
  type Total,
} from './follower.js';
import { FrameBlocks, MAX_ORDER } from './frame-blocks.js';
import { chooseEvenly, SampleSet, stratumOf } from './sample-set.js';
import { type KnownClusters, SiteSums } from './site-sums.js';

/** Bounds of a follower of frames. */
export interface FrameBounds extends FollowBounds {
  readonly frameBytes: number;
  /**
   * Whether a thread belongs to kdump-mem itself. Pages that it allocated before the recording are not part
   * of any other site's population.
   */
  readonly isOwn?: (tid: number) => boolean;
}

/**
 * Follows page frames. A block may be freed in parts (split_page, alloc_pages_exact), and an allocation of
 * frames that are still held means that a free was missed. Only frames of the sample count.
 */
export class FrameFollower implements Follower {
  #set: SampleSet;
  readonly #bounds: FrameBounds;
  readonly #allocations: Allocations;
  readonly #blocks: FrameBlocks;
  readonly #losses = new LossesCount();
  readonly #known: KnownClusters = new Map();
  readonly #total: AllocatedTotal;
  /** Bytes of unmatched frees by order, scaled by the sample at that time. */
  readonly #unmatched = new Map<number, number>();

  constructor(sample: Sample, bounds: FrameBounds) {
    this.#bounds = bounds;
    this.#set = new SampleSet(sample);
    this.#allocations = new Allocations(bounds.maxBlocks);
    this.#blocks = new FrameBlocks(this.#allocations, bounds.maxBlocks * PARTS);
    this.#total = new AllocatedTotal(this.#set, bounds.maxBlocks);
  }

  get sample(): Sample {
    return this.#set.sample;
  }

  get kept(): number {
    return Math.max(this.#allocations.size, this.#blocks.size / PARTS);
  }

  get losses(): Losses {
    const { losses } = this.#losses;
    return { ...losses, dropped: this.#losses.dropped + this.#blocks.dropped };
  }

  /** Number of frames in all allocations, freed or not; null if a table was full. */
  get allocatedFrames(): Total | null {
    return this.#total.total(this.#set);
  }

  allocated(place: number, length: number, time: number, tid: number, stack: number): void {
    const frames = this.#followed(place, length);
    if (frames < 0) this.#losses.dropped++;
    if (frames <= 0) return;
    this.#total.add(place, frames);
    if (stack === NO_STACK) this.#losses.withoutStack++;
    if (this.#release(place, length) > 0) this.#losses.missedFrees++;
    const number = this.#allocations.add(place, length, time, tid, stack);
    if (number === NONE) {
      this.#losses.dropped++;
      return;
    }
    const end = place + length;
    for (let start = place; start < end; ) {
      const order = fittingOrder(start, end - start);
      this.#blocks.hold(start, order, number, this.#set);
      start += 1 << order;
    }
    if (this.#allocations.held(number) === 0) this.#allocations.remove(number);
  }

  pooled(frame: number, time: number, tid: number, stack: number): void {
    if (!this.#blocks.isHeld(frame)) this.allocated(frame, 1, time, tid, stack);
  }

  freed(place: number, length: number, _time?: number, tid = 0): void {
    const frames = this.#followed(place, length);
    const unmatched = frames > 0 ? frames - this.#release(place, length) : 0;
    if (frames < 0 || unmatched > 0) this.#losses.unknownFrees++;
    if (unmatched > 0 && !(tid > 0 && this.#bounds.isOwn?.(tid))) this.#balance(length, unmatched);
  }

  skipped(place: number, length: number): void {
    const frames = this.#followed(place, length);
    if (frames <= 0) return;
    this.#release(place, length);
    this.#balance(length, -frames);
  }

  lost(count: number | null): void {
    this.#losses.lost(count);
  }

  narrow(sample: Sample): void {
    const set = new SampleSet(sample);
    if (!this.#set.includes(set)) throw new RangeError('a sample may only become smaller');
    const before = this.#set;
    this.#set = set;
    this.#total.narrow(set);
    this.#blocks.narrow(before, set);
  }

  reading(at: number, siteOf: SiteOf): Reading {
    const [all, set] = [this.#allocations, this.#set];
    const { frameBytes } = this.#bounds;
    const sums = new SiteSums(all, siteOf, (number) => stratumOf(all.length(number)));
    all.each((number) => {
      sums.addBlock(all.stack(number), set.oneInBlocks(Math.floor(Math.log2(all.length(number)))));
    });
    this.#blocks.each((start, order, number) => {
      const stack = all.stack(number);
      const stratum = stratumOf(all.length(number));
      const frames = set.framesOf(start, order);
      if (set.oneIn === 1) sums.addWhole(stack, stratum, 1, frames * frameBytes);
      else if (order <= set.chunkOrder) sums.addPart(stack, stratum, set.chunkOf(start), frames * frameBytes);
      else sums.addWhole(stack, stratum, frames / set.chunkLength, set.chunkLength * frameBytes);
    });
    return { at, held: sums.held(set, this.#known), unmatched: new Map(this.#unmatched) };
  }

  /** If all followed frames of a block are held, its other frames count as held, too. */
  survivors(order: SurvivorOrder): Survivors {
    const all = this.#allocations;
    const chosen = chooseEvenly(all, order.siteOf, order.max);
    const isWhole = (number: number) => all.held(number) === this.#followed(all.place(number), all.length(number));
    const first = this.#firstHeld(new Set(chosen.filter((number) => !isWhole(number))));
    const survivors = chosen.map((number) => {
      const [place, length, held] = [all.place(number), all.length(number), all.held(number)];
      const followed = this.#followed(place, length);
      const start = held === followed ? place : (first.get(number) ?? place);
      const bytes = Math.round((length * held) / followed) * this.#bounds.frameBytes;
      const log2 = Math.ceil(Math.log2(length));
      return survivorOf(all, number, order, BigInt(start), bytes, log2);
    });
    return { survivors, leftOut: all.size - chosen.length };
  }

  /** The first held block of each partly held allocation. */
  #firstHeld(numbers: ReadonlySet<number>): Map<number, number> {
    const first = new Map<number, number>();
    this.#blocks.each((start, _, number) => {
      if (numbers.has(number)) first.set(number, Math.min(start, first.get(number) ?? start));
    });
    return first;
  }

  /** Number of these frames in the sample; -1 if no allocator returns such a block. */
  #followed(place: number, length: number): number {
    if (!(length >= 1 && length <= 2 ** MAX_ORDER && place >= 0 && place <= MAX_FRAME)) return -1;
    const end = place + length;
    let frames = 0;
    for (let start = place; start < end; ) {
      const order = fittingOrder(start, end - start);
      frames += this.#set.framesOf(start, order);
      start += 1 << order;
    }
    return frames;
  }

  #balance(length: number, frames: number): void {
    const order = Math.ceil(Math.log2(length));
    const bytes = frames * this.#set.oneIn * this.#bounds.frameBytes;
    this.#unmatched.set(order, (this.#unmatched.get(order) ?? 0) + bytes);
  }

  #release(place: number, length: number): number {
    const end = place + length;
    let released = 0;
    for (let start = place; start < end; ) {
      const order = fittingOrder(start, end - start);
      released += this.#blocks.release(start, order, this.#set);
      start += 1 << order;
    }
    return released;
  }
}

/** Maximum number of held blocks for each allocation: blocks that are freed in parts need several. */
const PARTS = 2;

/** Number of 4 KiB frames in a 64-bit address space. */
const MAX_FRAME = 2 ** 52;

/**
 * Order of the largest block that begins there at a multiple of its length, and is not longer. The buddy
 * allocator returns exactly one such block; a range typed by hand may be several.
 */
function fittingOrder(start: number, length: number): number {
  const low = start | 0;
  const aligned = low === 0 ? MAX_ORDER : 31 - Math.clz32(low & -low);
  return Math.min(aligned, 31 - Math.clz32(length));
}

/** Chunk order without sampling: the unit in which a later sample would select frames. */
const CHUNK_ORDER = 3;

/**
 * Sums the frames of all observed allocations, freed or not. The same frames are allocated repeatedly, so
 * chunks are sampled instead of allocations.
 */
class AllocatedTotal {
  #counts = new PlaceTable();
  #sum = 0;
  #known = true;
  #chunkOrder: number;
  readonly #maxChunks: number;

  constructor(set: SampleSet, maxChunks: number) {
    this.#chunkOrder = set.oneIn === 1 ? CHUNK_ORDER : set.chunkOrder;
    this.#maxChunks = maxChunks;
  }

  add(place: number, frames: number): void {
    this.#sum += frames;
    if (!this.#known) return;
    const chunk = Math.floor(place / 2 ** this.#chunkOrder);
    const before = this.#counts.get(chunk);
    if (before < 0 && this.#counts.size >= this.#maxChunks) this.#forget();
    else this.#counts.set(chunk, Math.max(0, before) + frames);
  }

  narrow(set: SampleSet): void {
    if (set.chunkOrder < this.#chunkOrder) this.#forget();
    if (!this.#known) return;
    const before = this.#counts;
    this.#counts = new PlaceTable();
    this.#sum = 0;
    before.each((chunk, frames) => {
      const place = chunk * 2 ** this.#chunkOrder;
      if (set.has(place)) this.add(place, frames);
    });
  }

  /** Total in frames; null if a table was full, so that there is no interval. */
  total({ oneIn }: SampleSet): Total | null {
    if (oneIn === 1) return { traced: this.#sum, low: this.#sum, high: this.#sum };
    if (!this.#known) return null;
    let squares = 0;
    let largest = 2 ** this.#chunkOrder;
    this.#counts.each((_, frames) => {
      squares += frames ** 2;
      largest = Math.max(largest, frames);
    });
    const { bytes, lowBytes, highBytes } = estimate([{ sum: this.#sum, squares, cluster: largest }], oneIn);
    return { traced: bytes, low: lowBytes, high: highBytes };
  }

  #forget(): void {
    this.#known = false;
    this.#counts = new PlaceTable();
  }
}
