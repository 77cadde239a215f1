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

/** Those of the second half of the time. */
export function laterHalf({ times, values }: Points): Points {
  const time = ((times[0] ?? 0) + (times.at(-1) ?? 0)) / 2;
  const found = times.findIndex((one) => one >= time);
  const first = found < 0 ? times.length : found;
  return { times: times.subarray(first), values: values.subarray(first) };
}
