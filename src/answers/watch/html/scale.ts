import type { Points } from '../../../growth/points.js';

/** A place in a picture; y grows downwards. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** Where times and bytes stand in a picture. */
export interface Scale {
  readonly from: number;
  readonly to: number;
  /** Bytes at the lower and the upper edge. */
  readonly low: number;
  readonly high: number;
  readonly width: number;
  readonly height: number;
}

export function placeOf(
  { from, to, low, high, width, height }: Scale,
  time: number,
  bytes: number,
): Place {
  return {
    x: to > from ? ((time - from) / (to - from)) * width : 0,
    y: high > low ? height * (1 - (bytes - low) / (high - low)) : height / 2,
  };
}

/** As attributes have it: a tenth of a unit is less than a pixel. */
export function pathOf(places: readonly Place[]): string {
  return places.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
}

/** Times so far apart that nothing is known between them part a line. */
const APART = 2.5;

/** First and last index of each run of points without a gap within. */
export function runsOf(times: Float64Array): (readonly [number, number])[] {
  const steps = Float64Array.from({ length: Math.max(0, times.length - 1) }, (_, at) =>
    stepAt(times, at),
  );
  const usual = steps.toSorted()[steps.length >> 1] ?? 0;
  const runs: (readonly [number, number])[] = [];
  let begun = 0;
  for (let at = 0; at < times.length; at++) {
    if (at + 1 < times.length && stepAt(times, at) <= APART * usual) continue;
    runs.push([begun, at]);
    begun = at + 1;
  }
  return runs;
}

function stepAt(times: Float64Array, at: number): number {
  return (times[at + 1] ?? 0) - (times[at] ?? 0);
}

/** What a line has at a time: between two of its points it is straight, beyond its ends as they are. */
export function valueAt({ times, values }: Points, time: number): number {
  const next = times.findIndex((one) => one >= time);
  if (next < 0) return values.at(-1) ?? 0;
  if (next === 0) return values[0] ?? 0;
  const [before, after] = [times[next - 1] ?? 0, times[next] ?? 0];
  const part = (time - before) / (after - before);
  return (values[next - 1] ?? 0) * (1 - part) + (values[next] ?? 0) * part;
}
