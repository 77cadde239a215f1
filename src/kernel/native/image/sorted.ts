/** The last of ascending numbers that is not above `value`: its index, or -1. */
export function lastAtOrBelow(ascending: Float64Array, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The first of ascending ranges that ends above `value`: its index, or their number. */
export function firstEndingAbove(
  ranges: readonly { readonly end: number }[],
  value: number,
): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.end <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
