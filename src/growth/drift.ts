import { Z } from './growth.js';
import type { Points } from './points.js';
import type { Slope } from './theil-sen.js';

/**
 * The mean of the steps between neighbours, with its interval (Student's t): right for what wanders, as a sum
 * of chance steps does, whose level tells nothing of where it will go. The variance of a step goes with its
 * time, so that gaps may be between them. Steps that go on as the one before make it wider: those between means of a
 * random walk do (H. Working, Note on the correlation of first differences of averages in a random chain,
 * Econometrica 28, 1960).
 *
 * @param more by how much more the variance is than that of these points
 */
export function drift({ times, values }: Points, more = 1): Slope {
  const last = times.length - 1;
  const seconds = (times[last] ?? 0) - (times[0] ?? 0);
  const slope = ((values[last] ?? 0) - (values[0] ?? 0)) / seconds;
  let [squares, products, before] = [0, 0, 0];
  for (let at = 0; at < last; at++) {
    const took = (times[at + 1] ?? 0) - (times[at] ?? 0);
    const step = (values[at + 1] ?? 0) - (values[at] ?? 0);
    const off = (step - slope * took) / Math.sqrt(took);
    squares += off ** 2;
    products += off * before;
    before = off;
  }
  const variance = (squares + 2 * Math.max(0, products)) / (last - 1) / seconds;
  const reach = studentT(last - 1) * Math.sqrt(more * variance);
  return { slope, low: slope - reach, high: slope + reach };
}

/** Student's t for {@link Z} (Abramowitz and Stegun 26.7.5): from 6 degrees on less than 0.3 % too small. */
function studentT(degrees: number): number {
  return (
    Z +
    (Z ** 3 + Z) / (4 * degrees) +
    (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / (96 * degrees ** 2) +
    (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / (384 * degrees ** 3)
  );
}
