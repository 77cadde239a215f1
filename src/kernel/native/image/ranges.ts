import type { PhysicalRange } from './image.js';

/** Ranges in order of their starts, those that touch or overlap as one. */
export function* joined(ranges: Iterable<PhysicalRange>): Generator<PhysicalRange> {
  let start = 0;
  let end = -1;
  for (const range of ranges) {
    if (range.start <= end) {
      end = Math.max(end, range.end);
      continue;
    }
    if (end > start) yield { start, end };
    ({ start, end } = range);
  }
  if (end > start) yield { start, end };
}
