/** Of numbers in ascending order; of none NaN. */
export function medianOf(sorted: Float64Array): number {
  const [below, above] = [(sorted.length - 1) >> 1, sorted.length >> 1];
  return ((sorted[below] ?? Number.NaN) + (sorted[above] ?? Number.NaN)) / 2;
}
