import type { Sample } from '../recording.js';
import type { Allocations } from './allocations.js';
import type { SiteOf } from './follower.js';

/**
 * The set of followed page frames (or addresses): those with given bits in their number. Numbers that differ
 * only below the lowest of these bits are one chunk, which is in the sample completely or not at all.
 */
export class SampleSet {
  /** log2 of a chunk's length; 0 if everything is followed. */
  readonly chunkOrder: number;
  readonly chunkLength: number;
  readonly #mask: number;
  readonly #residue: number;

  /** @throws {RangeError} a residue that the mask cannot produce, or a mask wider than 32 bits */
  constructor(readonly sample: Sample) {
    const { oneIn, mask, residue } = sample;
    const chunkOrder = mask === 0n ? 0 : lowestBit(mask);
    const bits = mask >> BigInt(chunkOrder);
    if (bits >= 1n << 32n || (residue & ~mask) !== 0n || 2 ** bitsOf(Number(bits)) !== oneIn)
      throw new RangeError(`one in ${oneIn} is no sample by 0x${mask.toString(16)}`);
    this.chunkOrder = chunkOrder;
    this.chunkLength = 2 ** chunkOrder;
    this.#mask = Number(bits);
    this.#residue = Number(residue >> BigInt(chunkOrder));
  }

  get oneIn(): number {
    return this.sample.oneIn;
  }

  chunkOf(place: number): number {
    return Math.floor(place / this.chunkLength);
  }

  hasChunk(chunk: number): boolean {
    return (chunk & this.#mask) >>> 0 === this.#residue;
  }

  has(place: number): boolean {
    return this.hasChunk(this.chunkOf(place));
  }

  /** Number of followed frames of a block, which starts at a multiple of its length. */
  framesOf(start: number, order: number): number {
    const above = order - this.chunkOrder;
    if (above <= 0) return this.has(start) ? 2 ** order : 0;
    const free = above >= 32 ? 0xffff_ffff : 2 ** above - 1;
    const fixed = (this.#mask & ~free) >>> 0;
    if ((this.chunkOf(start) & fixed) >>> 0 !== (this.#residue & fixed) >>> 0) return 0;
    return 2 ** (order - bitsOf((this.#mask & free) >>> 0));
  }

  /** One in this many blocks of an order has a frame that is followed. */
  oneInBlocks(order: number): number {
    const above = Math.max(0, order - this.chunkOrder);
    return above >= 32 ? 1 : 2 ** bitsOf(this.#mask >>> above);
  }

  /** Whether everything that `other` follows is also followed here. */
  includes({ sample: other }: SampleSet): boolean {
    const { mask, residue } = this.sample;
    return (other.mask & mask) === mask && (other.residue & mask) === residue;
  }
}

function lowestBit(mask: bigint): number {
  let bit = 0;
  while (((mask >> BigInt(bit)) & 1n) === 0n) bit++;
  return bit;
}

function bitsOf(mask: number): number {
  let bits = 0;
  for (let rest = mask >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) bits++;
  return bits;
}

/**
 * Chooses at most `max` allocations evenly: each site gets as many as every other, or all of its own if it
 * has fewer. A busy site leaves room for a quiet one.
 *
 * @returns numbers of allocations
 */
export function chooseEvenly(allocations: Allocations, siteOf: SiteOf, max: number): number[] {
  const counts = new Map<string, number>();
  const sites = new Map<number, string>();
  allocations.each((number) => {
    const stack = allocations.stack(number);
    let site = sites.get(stack);
    if (site === undefined) {
      site = siteOf(stack);
      sites.set(stack, site);
    }
    counts.set(site, (counts.get(site) ?? 0) + 1);
  });
  const quota = quotaOf([...counts.values()], max);
  const met = new Map<string, number>();
  const chosen: number[] = [];
  allocations.each((number) => {
    const site = sites.get(allocations.stack(number)) ?? '';
    const count = counts.get(site) ?? 0;
    const wanted = Math.min(count, quota);
    const at = met.get(site) ?? 0;
    met.set(site, at + 1);
    const isNext = Math.floor(((at + 1) * wanted) / count) > Math.floor((at * wanted) / count);
    if (isNext && chosen.length < max) chosen.push(number);
  });
  return chosen;
}

/** The largest quota per site for which the total does not exceed `max`; at least 1. */
function quotaOf(counts: readonly number[], max: number): number {
  const ascending = [...counts].sort((a, b) => a - b);
  let room = max;
  for (const [at, count] of ascending.entries()) {
    const share = Math.floor(room / (ascending.length - at));
    if (count > share) return Math.max(1, share);
    room -= count;
  }
  return max;
}

/** Maximum number of strata. */
export const STRATA = 32;

/**
 * Allocations of one size are estimated separately: a few large blocks among many small ones are seldom
 * sampled, and would widen the interval of all.
 *
 * @param length frames, or bytes
 */
export function stratumOf(length: number): number {
  return Math.min(STRATA - 1, 32 - Math.clz32(Math.max(1, length) - 1));
}
