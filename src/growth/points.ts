/** Samples in the order of time, which no two share. */
export interface Points {
  /** Seconds; of any clock that never goes back. */
  readonly times: Float64Array;
  readonly values: Float64Array;
}

/** What points are of. */
export interface Sampled {
  readonly samples: number;
  /** Seconds between the first sample and the last. */
  readonly seconds: number;
  points(): Points;
}

/** Those from a time on. */
export function since({ times, values }: Points, time: number): Points {
  const found = times.findIndex((one) => one >= time);
  const first = found < 0 ? times.length : found;
  return { times: times.subarray(first), values: values.subarray(first) };
}
