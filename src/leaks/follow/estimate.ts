import type { Held } from '../recording.js';
import { incompleteBeta } from './beta.js';

/** What was seen of a site in the sample, by clusters: what lies in one chunk is seen together or not at all. */
export interface Seen {
  /** Σ of what each cluster has, bytes. */
  readonly sum: number;
  /** Σ of their squares. */
  readonly squares: number;
  /** Scaled already; null where it is not known. */
  readonly blocks: number | null;
  /** What one cluster may have, bytes: it tells how much there may be where none was seen. */
  readonly cluster: number;
}

/** Each side of an interval of 95 %. */
const TAIL = 0.025;

/**
 * How much there is, by a sample of one chunk in `oneIn`. As if there were n clusters of one size, with the sum
 * and the squares that were seen (n = Σ² / Σ of squares); then the exact limits of a binomial whose number of
 * draws is sought (which are Garwood's where few are seen, and nothing where all are).
 */
export function estimate({ sum, squares, blocks, cluster }: Seen, oneIn: number): Held {
  if (oneIn === 1) return { bytes: sum, blocks, low: sum, high: sum, sampled: null };
  const size = sum === 0 ? cluster : squares / sum;
  const { low, high } = drawLimits(sum / size, 1 / oneIn);
  return {
    bytes: sum * oneIn,
    blocks,
    low: Math.floor(low * size),
    high: Math.ceil(high * size),
    sampled: sum,
  };
}

/** Beyond, a normal distribution comes as close as anybody can tell. */
const MANY = 1e5;
/** Of a normal distribution: what leaves {@link TAIL} on each side. */
const DEVIATIONS = 1.959964;

/**
 * How many draws there were, when `seen` (any number from 0) were true, each with probability p: the fewest that
 * give so many with 2.5 %, and the most that give so few.
 */
export function drawLimits(
  seen: number,
  p: number,
): { readonly low: number; readonly high: number } {
  if (seen > MANY) {
    const spread = (DEVIATIONS * Math.sqrt(seen * (1 - p))) / p;
    return { low: seen / p - spread, high: seen / p + spread };
  }
  // P(X ≥ seen) grows with the number of draws, P(X ≤ seen) falls.
  const low =
    seen === 0 ? 0 : sought(seen, p, (draws) => incompleteBeta(p, seen, draws - seen + 1) > TAIL);
  const high = sought(seen, p, (draws) => incompleteBeta(1 - p, draws - seen, seen + 1) < TAIL);
  return { low, high };
}

/** The least number of draws for which something holds, by halving. */
function sought(seen: number, p: number, holds: (draws: number) => boolean): number {
  let below = seen;
  let above = (seen + 10 * Math.sqrt(seen + 1) + 10) / p;
  for (let step = 0; step < 60 && above - below > 1e-9 * above; step++) {
    const middle = (below + above) / 2;
    if (holds(middle)) above = middle;
    else below = middle;
  }
  return above;
}
