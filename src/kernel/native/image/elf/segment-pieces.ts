import { ascending, numberKeys } from '../../ascending.js';
import { lastAtOrBelow } from '../sorted.js';
import type { SegmentTable } from './segment-table.js';

/** Disjoint physical pieces in order of address, and the segment that serves each. */
export interface Pieces {
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  readonly segments: Uint32Array;
}

/** The physical memory of segments, each of so many bytes: what two hold, the one that starts first serves. */
export function piecesOf(segments: SegmentTable, sizes: Float64Array): Pieces {
  const holding = new Uint32Array(segments.length);
  const physical = new Float64Array(segments.length);
  let held = 0;
  for (let segment = 0; segment < segments.length; segment++) {
    const start = segments.physical(segment);
    if (start === undefined || sizes[segment] === 0) continue;
    physical[held] = start;
    holding[held++] = segment;
  }
  const starts = new Float64Array(held);
  const ends = new Float64Array(held);
  const serving = new Uint32Array(held);
  let count = 0;
  let end = 0;
  for (const index of ascending(numberKeys(physical, held))) {
    const segment = holding[index]!;
    const segmentEnd = physical[index]! + sizes[segment]!;
    if (segmentEnd <= end) continue;
    starts[count] = Math.max(physical[index]!, end);
    ends[count] = segmentEnd;
    serving[count] = segment;
    end = segmentEnd;
    count++;
  }
  return {
    starts: starts.subarray(0, count),
    ends: ends.subarray(0, count),
    segments: serving.subarray(0, count),
  };
}

/** The piece that holds an address, or -1. */
export function pieceAt({ starts, ends }: Pieces, address: number): number {
  const piece = lastAtOrBelow(starts, address);
  return piece >= 0 && address < ends[piece]! ? piece : -1;
}
