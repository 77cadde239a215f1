import { randomInt } from 'node:crypto';
import type { AllocationType, Sample } from '../../recording.js';

/** Parameters of a recording through tracefs. */
export interface TraceOrder {
  readonly type: AllocationType;
  readonly seconds: number;
  /** Number of windows in `seconds`: readings are made at the beginning and end of each. */
  readonly windows: number;
  /** Follow one place in this many (a power of two); `auto`: as many as the budget allows. */
  readonly sample: 'auto' | number;
  /** Maximum cost, as a share of one CPU, including our own CPU time. */
  readonly budget: number;
  /** Minimum order of followed page blocks; 0: all. */
  readonly minOrder: number;
  /** Threads whose allocations are followed; null: all. */
  readonly threads: ((tid: number) => boolean) | null;
  /** Maximum number of allocations in memory; near it the sample is reduced. */
  readonly maxBlocks: number;
  /** Maximum number of survivors listed one by one. */
  readonly maxSurvivors: number;
  /** Stops the recording early. */
  readonly stop: AbortSignal;
  /** Called about once a second. */
  readonly progress: (figures: TraceFigures) => void;
}

/** Progress of a recording. */
export interface TraceFigures {
  /** Seconds since it began. */
  readonly seconds: number;
  /** Number of allocations and frees read: in total, and recently per second. */
  readonly events: number;
  readonly perSecond: number;
  /** One place in this many is followed. */
  readonly oneIn: number;
  /** Cost, as a share of one CPU. */
  readonly share: number;
  /** Number of allocations in memory. */
  readonly kept: number;
}

/** No sampling: each frame or object is followed. */
export const ALL: Sample = { oneIn: 1, mask: 0n, residue: 0n };

/** The deciding bits of a frame number begin here, unless only blocks of one order are of interest. */
export const PAGE_LOW_BIT = 3;

/**
 * The deciding bits of an object's address are those of its page: objects are unevenly distributed within it.
 */
export const SLAB_LOW_BIT = 12;

/** Beyond this, almost nothing would be sampled. */
export const MOST_ONE_IN = 4096;

/**
 * A random sample of one place in `oneIn`.
 *
 * @param oneIn a power of two
 * @param lowBit places with the same bits above this one are sampled together
 */
export function sampleOf(oneIn: number, lowBit: number): Sample {
  const bits = Math.log2(oneIn);
  if (!Number.isInteger(bits) || bits < 0 || oneIn > MOST_ONE_IN)
    throw new RangeError(`one in ${oneIn}`);
  const from = BigInt(lowBit);
  return {
    oneIn,
    mask: BigInt(oneIn - 1) << from,
    residue: BigInt(randomInt(oneIn)) << from,
  };
}

/** Half of a sample. */
export function narrowed({ oneIn, mask, residue }: Sample, lowBit: number): Sample {
  const bit = mask === 0n ? 1n << BigInt(lowBit) : (mask & -mask) * BigInt(oneIn);
  return {
    oneIn: oneIn * 2,
    mask: mask | bit,
    residue: residue | (randomInt(2) === 1 ? bit : 0n),
  };
}
