import { describe, expect, it } from 'vitest';
import { drawLimits, estimate } from '../../../src/leaks/follow/estimate.js';
import { FrameFollower } from '../../../src/leaks/follow/frame-follower.js';

describe('confidence limits of a sampled count', () => {
  // Garwood 1936: exact limits of a Poisson mean.
  it.each([
    [0, 0, 3.689],
    [1, 0.0253, 5.572],
    [5, 1.6235, 11.668],
    [10, 4.7954, 18.39],
    [50, 37.11, 65.92],
  ])('equal those of Garwood for a very small sample rate: %i', (seen, low, high) => {
    const limits = drawLimits(seen, 1e-6, 0.025);
    expect(limits.low * 1e-6).toBeCloseTo(low, 2);
    expect(limits.high * 1e-6).toBeCloseTo(high, 2);
  });

  it.each([
    [3, 0.5],
    [17, 0.25],
    [40, 0.125],
    [0, 0.5],
  ])('are exact for a binomial distribution: %i seen, p = %f', (seen, p) => {
    const { low, high } = drawLimits(seen, p, 0.025);
    // The sum of its probabilities, for whole numbers of draws.
    const upTo = (draws: number) => {
      let term = (1 - p) ** draws;
      let sum = 0;
      for (let k = 0; k <= Math.min(seen, draws); k++) {
        sum += term;
        term *= ((draws - k) / (k + 1)) * (p / (1 - p));
      }
      return { sum, last: term === 0 ? 0 : (term * (seen + 1) * (1 - p)) / ((draws - seen) * p) };
    };
    expect(upTo(Math.floor(high)).sum).toBeGreaterThanOrEqual(0.025);
    expect(upTo(Math.ceil(high + 1e-6)).sum).toBeLessThan(0.025);
    if (seen === 0) return expect(low).toBe(0);
    const reaches = (draws: number) => 1 - upTo(draws).sum + upTo(draws).last;
    if (Math.floor(low) > seen) expect(reaches(Math.floor(low))).toBeLessThanOrEqual(0.025);
    return expect(reaches(Math.ceil(low + 1e-6))).toBeGreaterThan(0.025);
  });

  it('have no step at large counts', () => {
    const [before, after] = [drawLimits(99_999, 1 / 64, 0.02), drawLimits(100_001, 1 / 64, 0.02)];
    expect(after.low / before.low).toBeCloseTo(1, 3);
    expect(after.high / before.high).toBeCloseTo(1, 3);
  });
});

describe('an estimate', () => {
  it('is exact if everything is followed', () => {
    const held = estimate([{ sum: 100, squares: 1000, cluster: 10 }], 1);
    expect(held).toEqual({ bytes: 100, lowBytes: 100, highBytes: 100, sampled: null });
  });

  it('has an upper limit even if nothing was sampled', () => {
    const held = estimate([{ sum: 0, squares: 0, cluster: 4096 }], 64);
    expect(held).toMatchObject({ bytes: 0, lowBytes: 0, sampled: 0 });
    // Enough clusters that 2 % of all samples contain none: (63 / 64)^n.
    expect((63 / 64) ** (held.highBytes / 4096)).toBeCloseTo(0.02, 4);
  });
});

/** Streams of one kind, and the number of frames held at their end. */
type Stream = (take: (place: number, length: number) => void, random: () => number) => void;

const STREAMS: Readonly<Record<string, Stream>> = {
  'single frames anywhere': (take, random) => {
    for (let n = 0; n < 3000; n++) take(Math.floor(random() * 2 ** 20), 1);
  },
  'runs of single frames': (take, random) => {
    for (let n = 0; n < 60; n++) {
      const start = Math.floor(random() * 2 ** 20);
      const length = Math.floor(random() * 200);
      for (let frame = start; frame < start + length; frame++) take(frame, 1);
    }
  },
  'blocks of order 3': (take, random) => {
    for (let n = 0; n < 2500; n++) take(Math.floor(random() * 2 ** 17) * 8, 8);
  },
  'few blocks of order 5': (take, random) => {
    for (let n = 0; n < 60; n++) take(Math.floor(random() * 2 ** 15) * 32, 32);
  },
  'all orders': (take, random) => {
    for (let n = 0; n < 400; n++) {
      const length = 2 ** Math.floor(random() ** 3 * 11);
      take(Math.floor((random() * 2 ** 20) / length) * length, length);
    }
  },
  'large blocks among small ones': (take, random) => {
    for (let n = 0; n < 4000; n++) {
      const length = random() < 0.8 ? 1 : 8;
      take(Math.floor((random() * 2 ** 20) / length) * length, length);
    }
  },
  'a handful': (take, random) => {
    for (let n = 0; n < 25; n++) take(Math.floor(random() * 2 ** 20), 1);
  },
};

describe('the interval contains the true amount in 95 of 100 samples', () => {
  it.each(Object.entries(STREAMS).flatMap(([name, stream]) => [16, 64].map((oneIn) => [name, oneIn, stream] as const)))(
    'of %s, one in %i',
    (_, oneIn, stream) => {
      let [inside, runs] = [0, 0];
      for (let seed = 1; seed <= Math.ceil(512 / oneIn); seed++) {
        const random = randomOf(seed);
        const frames = new Set<number>();
        const blocks: [number, number][] = [];
        stream((place, length) => {
          if (frames.has(place)) return;
          for (let frame = place; frame < place + length; frame++) frames.add(frame);
          blocks.push([place, length]);
        }, random);
        const truth = overlapFree(blocks);
        // Every residue of the mask.
        for (let residue = 0; residue < oneIn; residue++) {
          const follower = new FrameFollower(
            { oneIn, mask: BigInt(oneIn - 1) << 3n, residue: BigInt(residue) << 3n },
            { maxBlocks: 10_000, frameBytes: 1 },
          );
          for (const [place, length] of blocks) follower.allocated(place, length, 1, 1, 1);
          const held = follower.reading(0, () => 'site').held.get('site');
          // A site without samples does not exist, and is not counted.
          runs++;
          if (held ? held.lowBytes <= truth && truth <= held.highBytes : truth <= 3.7 * oneIn * 8) inside++;
        }
      }
      expect(inside / runs).toBeGreaterThanOrEqual(0.95);
    },
  );
});

/** Frames held at the end: later blocks reuse those of earlier ones. */
function overlapFree(blocks: readonly [number, number][]): number {
  const frames = new Set<number>();
  for (const [place, length] of blocks) for (let frame = place; frame < place + length; frame++) frames.add(frame);
  return frames.size;
}

/** Mulberry32: the same numbers in each run. */
function randomOf(seed: number): () => number {
  let state = seed * 0x9e37_79b1;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
