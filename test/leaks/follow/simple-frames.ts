import fc from 'fast-check';
import type { Sample } from '../../../src/leaks/recording.js';

export const MODEL_ALL: Sample = { oneIn: 1, mask: 0n, residue: 0n };

/** Samples of bits 1 … 6, which are not always adjacent. */
export const modelSample: fc.Arbitrary<Sample> = fc
  .record({ bits: fc.nat(63), residue: fc.nat(63) })
  .map(({ bits, residue }) => ({
    oneIn: 2 ** [...bits.toString(2)].filter((bit) => bit === '1').length,
    mask: BigInt(bits) << 1n,
    residue: BigInt(bits & residue) << 1n,
  }));

/** A frame follower that tracks each frame in a Map: slow, but obviously correct. */
export class SimpleFrames {
  readonly losses = { missedFrees: 0, unknownFrees: 0 };
  #sample: Sample;
  readonly #held = new Map<number, number>();

  constructor(sample: Sample) {
    this.#sample = sample;
  }

  allocated(place: number, length: number, stack: number): void {
    const frames = this.#frames(place, length);
    if (frames.some((frame) => this.#held.has(frame))) this.losses.missedFrees++;
    for (const frame of frames) this.#held.set(frame, stack);
  }

  freed(place: number, length: number): void {
    const frames = this.#frames(place, length);
    if (frames.some((frame) => !this.#held.has(frame))) this.losses.unknownFrees++;
    for (const frame of frames) this.#held.delete(frame);
  }

  narrow(sample: Sample): void {
    this.#sample = sample;
    for (const frame of [...this.#held.keys()]) if (!this.#isSampled(frame)) this.#held.delete(frame);
  }

  bySite(): [string, number][] {
    const sums = new Map<string, number>();
    for (const stack of this.#held.values()) sums.set(String(stack), (sums.get(String(stack)) ?? 0) + 1);
    return [...sums].sort();
  }

  #frames(place: number, length: number): number[] {
    return Array.from({ length }, (_, at) => place + at).filter((frame) => this.#isSampled(frame));
  }

  #isSampled(frame: number): boolean {
    return (BigInt(frame) & this.#sample.mask) === this.#sample.residue;
  }
}
