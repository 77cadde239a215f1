import { Series } from '../../src/growth/series.js';

/** The held amount at each sample. */
export type Signal = () => number;

/** Numbers from 0 to 1, the same for each seed (Marsaglia's xorshift32). */
export function chance(seed: number): Signal {
  let state = seed * 2_654_435_761 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Normally distributed, with mean 0 and deviation 1 (Box and Muller). */
export function noise(seed: number): Signal {
  const next = chance(seed);
  for (let at = 0; at < 20; at++) next();
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

/** Each value keeps this share of the preceding one; 1 is a random walk. */
export function alike(kept: number, seed: number): Signal {
  const next = noise(seed);
  let value = kept < 1 ? next() / Math.sqrt(1 - kept ** 2) : 0;
  return () => {
    value = kept * value + next();
    return value;
  };
}

/** Like the heap of a garbage collector: rises by `height` over this many samples, then falls at once. */
export function sawtooth(period: number, height: number, seed: number): Signal {
  const next = noise(seed);
  let at = Math.floor(chance(seed + 1000)() * period);
  return () => ((at++ % period) / period) * height + next();
}

/** This many samples of a signal plus a trend, by default one per second. */
export function sampled(count: number, signal: (at: number) => number, { perSecond = 0, interval = 1 } = {}): Series {
  const series = new Series();
  for (let at = 0; at < count; at++) {
    const time = at * interval;
    series.add(time, signal(at) + perSecond * time);
  }
  return series;
}
