import type { Held } from '../recording.js';

/**
 * The part of one stratum that is in the sample, by clusters: a chunk is sampled as a whole or not at all.
 */
export interface StratumSample {
  /** Sum over all clusters, bytes. */
  readonly sum: number;
  /** Sum of the squares of the clusters' bytes. */
  readonly squares: number;
  /** Largest cluster, bytes: the assumed cluster size for sites without a sampled block. */
  readonly cluster: number;
}

/**
 * Probability on each side of a 95 % interval. It is 2 % instead of 2.5 % because the size of clusters is
 * estimated, too, which the limits do not account for.
 */
const TAIL = 0.02;

/**
 * Estimates the total amount from a sample of one chunk in `oneIn`. Each stratum is treated as n clusters of
 * equal size, with the observed sum and squares (n = Σ² / Σ of squares). Its limits are the exact limits of
 * the unknown number of draws of a binomial (Garwood's Poisson limits if only a few are sampled, no interval
 * if all are). The limits of the sum are combined from those of the strata: Zou and Donner 2008 (MOVER).
 *
 * Sizes that never occurred in the sample are not included: the interval cannot account for them.
 */
export function estimate(strata: readonly StratumSample[], oneIn: number): Omit<Held, 'blocks'> {
  const sum = strata.reduce((total, stratum) => total + stratum.sum, 0);
  if (oneIn === 1) return { bytes: sum, lowBytes: sum, highBytes: sum, sampled: null };
  let [below, above] = [0, 0];
  for (const stratum of strata) {
    const size = stratum.sum === 0 ? stratum.cluster : stratum.squares / stratum.sum;
    const { low, high } = drawLimits(stratum.sum / size, 1 / oneIn, TAIL);
    below += (stratum.sum * oneIn - low * size) ** 2;
    above += (high * size - stratum.sum * oneIn) ** 2;
  }
  const bytes = sum * oneIn;
  return {
    bytes,
    // The true amount is at least the sampled one.
    lowBytes: Math.max(sum, Math.floor(bytes - Math.sqrt(below))),
    highBytes: Math.ceil(bytes + Math.sqrt(above)),
    sampled: sum,
  };
}

/**
 * Number of blocks, each in its own chunk, of which a sample of one in `oneIn` contains at least one with 98
 * % probability.
 */
export function mostUnmet(oneIn: number): number {
  return Math.ceil(Math.log(TAIL) / Math.log(1 - 1 / oneIn));
}

/** Above this count, the normal distribution is accurate enough. */
const MANY = 1e5;
/** Standard deviations of a normal distribution that leave {@link TAIL} on each side. */
const DEVIATIONS = 2.0537;

/**
 * Limits of the number of draws, if `seen` of them (any number from 0) were true, each with probability p:
 * the fewest that give as many with more than probability `tail`, and the most that give as few.
 */
export function drawLimits(seen: number, p: number, tail: number): { readonly low: number; readonly high: number } {
  if (seen > MANY) {
    const spread = (DEVIATIONS * Math.sqrt(seen * (1 - p))) / p;
    return { low: seen / p - spread, high: seen / p + spread };
  }
  // P(X ≥ seen) grows with the number of draws, P(X ≤ seen) falls.
  const low = seen === 0 ? 0 : smallestDraws(seen, p, (draws) => incompleteBeta(p, seen, draws - seen + 1) > tail);
  const high = smallestDraws(seen, p, (draws) => incompleteBeta(1 - p, draws - seen, seen + 1) < tail);
  return { low, high };
}

/** Finds the smallest number of draws for which a predicate holds, by bisection. */
function smallestDraws(seen: number, p: number, holds: (draws: number) => boolean): number {
  let below = seen;
  let above = (seen + 10 * Math.sqrt(seen + 1) + 10) / p;
  for (let step = 0; step < 60 && above - below > 1e-9 * above; step++) {
    const middle = (below + above) / 2;
    if (holds(middle)) above = middle;
    else below = middle;
  }
  return above;
}

/** Lanczos coefficients of log Γ, g = 7, n = 9: accurate to 15 digits. */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** @param x above 0 */
export function logGamma(x: number): number {
  const t = x + 6.5;
  let sum = LANCZOS[0] ?? 0;
  for (let i = 1; i < LANCZOS.length; i++) sum += (LANCZOS[i] ?? 0) / (x - 1 + i);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

const MAX_STEPS = 20_000;
const CLOSE = 1e-12;
const TINY = 1e-300;

/**
 * The regularised incomplete beta function I_x(a, b), a and b above 0: P(X ≥ a) of a binomial X of a + b − 1
 * draws, each true with probability x. Computed by its continued fraction (Lentz).
 */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // Where it converges slowly, its complement converges quickly.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x);
  let c = 1;
  let d = 1 / notZero(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= MAX_STEPS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / notZero(1 + even * d);
    c = notZero(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / notZero(1 + odd * d);
    c = notZero(1 + odd / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < CLOSE) break;
  }
  return (Math.exp(front) * fraction) / a;
}

function notZero(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}
