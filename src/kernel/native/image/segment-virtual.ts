import { ascending } from './ascending.js';
import type { SegmentTable } from './segment-table.js';

/** Segments with a virtual address, in order of it. */
export interface VirtualSegments {
  readonly starts: readonly bigint[];
  readonly segments: Uint32Array;
}

export function virtualSegments(table: SegmentTable): VirtualSegments {
  const mapped = new Uint32Array(table.length);
  const halves = new DataView(new ArrayBuffer(table.length * 8));
  let count = 0;
  for (let segment = 0; segment < table.length; segment++) {
    const start = table.virtual(segment);
    if (start === undefined || table.described[segment] === 0) continue;
    halves.setBigUint64(count * 8, start);
    mapped[count++] = segment;
  }
  const order = ascending({
    length: count,
    high: (index) => halves.getUint32(index * 8),
    low: (index) => halves.getUint32(index * 8 + 4),
  });
  const segments = order.map((index) => mapped[index]!);
  return { starts: Array.from(segments, (segment) => table.virtual(segment)!), segments };
}

/** Which of them holds an address: an index of `starts`, or -1. */
export function virtualAt(
  table: SegmentTable,
  { starts, segments }: VirtualSegments,
  address: bigint,
): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= address) low = middle + 1;
    else high = middle;
  }
  const found = low - 1;
  if (found < 0) return -1;
  return address - starts[found]! < BigInt(table.described[segments[found]!]!) ? found : -1;
}
