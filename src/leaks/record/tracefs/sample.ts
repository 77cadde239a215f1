import { randomInt } from 'node:crypto';
import type { Sample } from '../../recording.js';

/** The whole: each frame, or each object, is followed. */
export const ALL: Sample = { oneIn: 1, mask: 0n, residue: 0n };

/** Bits of a frame's number that decide begin here, unless blocks of one order alone are of interest. */
export const PAGE_LOW_BIT = 3;

/** Bits of an object's address that decide: those of its page. Where in it objects lie is not even. */
export const SLAB_LOW_BIT = 12;

/** Beyond that next to nothing would be seen. */
export const MOST_ONE_IN = 4096;

/**
 * A sample of one place in so many, of which exactly those are a matter of chance.
 *
 * @param oneIn a power of two
 * @param lowBit what has the same bits above this one is in the sample as a whole or not at all
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

/** A part of a sample: one place in twice as many, all of which the sample had. */
export function narrowed({ oneIn, mask, residue }: Sample, lowBit: number): Sample {
  const bit = mask === 0n ? 1n << BigInt(lowBit) : (mask & -mask) * BigInt(oneIn);
  return {
    oneIn: oneIn * 2,
    mask: mask | bit,
    residue: residue | (randomInt(2) === 1 ? bit : 0n),
  };
}
