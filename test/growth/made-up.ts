import { Series } from '../../src/growth/series.js';

/** What something holds at each of its samples. */
export type Signal = () => number;

/** Numbers from 0 to 1, always the same for a seed (Marsaglia's xorshift32). */
export function chance(seed: number): Signal {
  let state = seed * 2_654_435_761 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Normally distributed, mean 0, deviation 1 (Box and Muller). */
export function noise(seed: number): Signal {
  const next = chance(seed);
  for (let at = 0; at < 20; at++) next();
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

/** Each value keeps so much of the one before; 1: a random walk. */
export function alike(kept: number, seed: number): Signal {
  const next = noise(seed);
  let value = kept < 1 ? next() / Math.sqrt(1 - kept ** 2) : 0;
  return () => {
    value = kept * value + next();
    return value;
  };
}

/** As the heap of a garbage collector: up by `height` in so many samples, then down at once. */
export function sawtooth(period: number, height: number, seed: number): Signal {
  const next = noise(seed);
  let at = Math.floor(chance(seed + 1000)() * period);
  return () => ((at++ % period) / period) * height + next();
}

/** So many samples, one a second unless said, of a signal beside a trend. */
export function sampled(
  count: number,
  signal: (at: number) => number,
  { perSecond = 0, interval = 1 } = {},
): Series {
  const series = new Series();
  for (let at = 0; at < count; at++) {
    const time = at * interval;
    series.add(time, signal(at) + perSecond * time);
  }
  return series;
}
