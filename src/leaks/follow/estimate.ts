import type { Held } from '../recording.js';
import { incompleteBeta } from './beta.js';

/** What was seen of one stratum in the sample, by clusters: what lies in one chunk is seen together or not at all. */
export interface Seen {
  /** Σ of what each cluster has, bytes. */
  readonly sum: number;
  /** Σ of their squares. */
  readonly squares: number;
  /** What one cluster may have, bytes: it tells how much there may be where none was seen. */
  readonly cluster: number;
}

/**
 * Each side of an interval of 95 %. It is 2 and not 2.5 % since the size of clusters is estimated too, which the
 * limits know nothing of.
 */
const TAIL = 0.02;

/**
 * How much there is, by a sample of one chunk in `oneIn`. Of each stratum as if there were n clusters of one size,
 * with the sum and the squares that were seen (n = Σ² / Σ of squares); then the exact limits of a binomial whose
 * number of draws is sought (Garwood's of Poisson where few are seen, and none where all are). Limits of a sum by
 * those of its parts: Zou and Donner 2008 (MOVER).
 *
 * Sizes that the sample has never met are not in it: the interval cannot know of them.
 */
export function estimate(strata: readonly Seen[], oneIn: number): Omit<Held, 'blocks'> {
  const sum = strata.reduce((total, each) => total + each.sum, 0);
  if (oneIn === 1) return { bytes: sum, low: sum, high: sum, sampled: null };
  let [below, above] = [0, 0];
  for (const each of strata) {
    const size = each.sum === 0 ? each.cluster : each.squares / each.sum;
    const { low, high } = drawLimits(each.sum / size, 1 / oneIn, TAIL);
    below += (each.sum * oneIn - low * size) ** 2;
    above += (high * size - each.sum * oneIn) ** 2;
  }
  const bytes = sum * oneIn;
  return {
    bytes,
    // There is as much as was seen at least.
    low: Math.max(sum, Math.floor(bytes - Math.sqrt(below))),
    high: Math.ceil(bytes + Math.sqrt(above)),
    sampled: sum,
  };
}

/** Of so many blocks, each in a chunk of its own, a sample of one in `oneIn` has at least one, with 98 %. */
export function mostUnmet(oneIn: number): number {
  return Math.ceil(Math.log(TAIL) / Math.log(1 - 1 / oneIn));
}

/** Beyond, a normal distribution comes as close as anybody can tell. */
const MANY = 1e5;
/** Of a normal distribution: what leaves {@link TAIL} on each side. */
const DEVIATIONS = 2.0537;

/**
 * How many draws there were, when `seen` (any number from 0) were true, each with probability p: the fewest that
 * give so many with more than `tail`, and the most that give so few.
 */
export function drawLimits(
  seen: number,
  p: number,
  tail: number,
): { readonly low: number; readonly high: number } {
  if (seen > MANY) {
    const spread = (DEVIATIONS * Math.sqrt(seen * (1 - p))) / p;
    return { low: seen / p - spread, high: seen / p + spread };
  }
  // P(X ≥ seen) grows with the number of draws, P(X ≤ seen) falls.
  const low =
    seen === 0 ? 0 : sought(seen, p, (draws) => incompleteBeta(p, seen, draws - seen + 1) > tail);
  const high = sought(seen, p, (draws) => incompleteBeta(1 - p, draws - seen, seen + 1) < tail);
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
