/** There are so many at most. */
export const STRATA = 32;

/**
 * What is of one size is estimated by itself: a few large blocks among many small ones are seldom met, and would
 * spoil the interval of all.
 *
 * @param length frames, or bytes
 */
export function stratumOf(length: number): number {
  return Math.min(STRATA - 1, 32 - Math.clz32(Math.max(1, length) - 1));
}
