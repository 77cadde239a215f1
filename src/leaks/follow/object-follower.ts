import type { Losses, Reading, Sample } from '../recording.js';
import { NO_STACK } from '../site-frames.js';
import { Allocations, NONE, PlaceTable } from './allocations.js';
import {
  type FollowBounds,
  type Follower,
  LossesCount,
  type SiteOf,
  type SurvivorOrder,
  type Survivors,
  survivorOf,
} from './follower.js';
import { chooseEvenly, SampleSet, stratumOf } from './sample-set.js';
import { type KnownClusters, SiteSums } from './site-sums.js';

/** Follows slab objects by address. An object is always freed as a whole. */
export class ObjectFollower implements Follower {
  #set: SampleSet;
  readonly #objects = new PlaceTable();
  readonly #allocations: Allocations;
  readonly #losses = new LossesCount();
  readonly #known: KnownClusters = new Map();

  constructor(sample: Sample, { maxBlocks }: FollowBounds) {
    this.#set = new SampleSet(sample);
    this.#allocations = new Allocations(maxBlocks);
  }

  get sample(): Sample {
    return this.#set.sample;
  }

  get kept(): number {
    return this.#allocations.size;
  }

  get losses(): Losses {
    return this.#losses.losses;
  }

  allocated(place: number, length: number, time: number, tid: number, stack: number): void {
    if (!this.#set.has(place)) return;
    if (stack === NO_STACK) this.#losses.withoutStack++;
    if (this.#release(place)) this.#losses.missedFrees++;
    const number = this.#allocations.add(place, length, time, tid, stack);
    if (number === NONE) this.#losses.dropped++;
    else this.#objects.set(place, number);
  }

  freed(place: number): void {
    if (this.#set.has(place) && !this.#release(place)) this.#losses.unknownFrees++;
  }

  skipped(place: number): void {
    if (this.#set.has(place)) this.#release(place);
  }

  lost(count: number | null): void {
    this.#losses.lost(count);
  }

  narrow(sample: Sample): void {
    const set = new SampleSet(sample);
    if (!this.#set.includes(set)) throw new RangeError('a sample may only become smaller');
    this.#set = set;
    this.#allocations.each((number) => {
      const place = this.#allocations.place(number);
      if (!set.has(place)) this.#release(place);
    });
  }

  reading(at: number, siteOf: SiteOf): Reading {
    const all = this.#allocations;
    const set = this.#set;
    const sums = new SiteSums(all, siteOf, (number) => stratumOf(all.length(number)));
    all.each((number) => {
      const stack = all.stack(number);
      const bytes = all.length(number);
      sums.addBlock(stack, set.oneIn);
      if (set.oneIn === 1) sums.addWhole(stack, stratumOf(bytes), 1, bytes);
      else sums.addPart(stack, stratumOf(bytes), set.chunkOf(all.place(number)), bytes);
    });
    return { at, held: sums.held(set, this.#known) };
  }

  survivors(order: SurvivorOrder): Survivors {
    const all = this.#allocations;
    const chosen = chooseEvenly(all, order.siteOf, order.max);
    const survivors = chosen.map((number) => {
      const place = BigInt(all.place(number)) | order.upper;
      return survivorOf(all, number, order, place, all.length(number), null);
    });
    return { survivors, leftOut: all.size - chosen.length };
  }

  #release(place: number): boolean {
    const number = this.#objects.get(place);
    if (number < 0) return false;
    this.#objects.delete(place);
    this.#allocations.remove(number);
    return true;
  }
}
