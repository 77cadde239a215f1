/** How alike neighbours are, which makes a series wander without a trend. */
export interface Likeness {
  /** Its mean moves as the sum of chance steps does, or that cannot be ruled out. */
  readonly wanders: boolean;
  /** By how much more a sum of such values varies than one of values that are not alike; 1 or more. */
  readonly inflation: number;
}

/**
 * The number of points times (1 - correlation), which of a random walk is more in one case of a hundred:
 * W. A. Fuller, Introduction to Statistical Time Series, 1976, table 8.5.1, with a linear trend.
 */
const WANDERS_BELOW = 29.5;

/**
 * By the correlation of ranks of neighbours, which no single value spoils. Taking the trend away makes it less
 * than it was: what is added are the first terms of that bias (A. Roy, W. A. Fuller, Estimation for
 * Autoregressive Time Series with a Root Near 1, J. Business & Econ. Statistics 19, 2001).
 *
 * @param residuals what is left of the values without their trend
 */
export function likeness(residuals: Float64Array): Likeness {
  const count = residuals.length;
  const ranks = ranksOf(residuals);
  const middle = (count - 1) / 2;
  let [own, next] = [0, 0];
  for (let at = 0; at < count; at++) {
    const here = (ranks[at] ?? 0) - middle;
    own += here ** 2;
    if (at + 1 < count) next += here * ((ranks[at + 1] ?? 0) - middle);
  }
  if (own === 0) return { wanders: false, inflation: 1 };
  const measured = next / own;
  const wanders = count * (1 - measured) < WANDERS_BELOW;
  const corrected = Math.min(0.95, Math.max(0, measured + (2 + 4 * measured) / count));
  return { wanders, inflation: (1 + corrected) / (1 - corrected) };
}

/** From 0 on; equal values share the mean of theirs. */
function ranksOf(values: Float64Array): Float64Array {
  const order = [...values.keys()].sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const ranks = new Float64Array(values.length);
  for (let start = 0, at = 1; at <= order.length; at++) {
    const [first, here] = [values[order[start] ?? 0], values[order[at] ?? -1]];
    if (at < order.length && first === here) continue;
    for (const index of order.slice(start, at)) ranks[index] = (start + at - 1) / 2;
    start = at;
  }
  return ranks;
}
