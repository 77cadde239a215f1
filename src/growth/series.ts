/** Samples in order of time, each with a different time. */
export interface Points {
  /** Seconds of any monotonic clock. */
  readonly times: Float64Array;
  readonly values: Float64Array;
}

/** Source of points. */
export interface Sampled {
  readonly samples: number;
  /** Seconds between the first sample and the last. */
  readonly seconds: number;
  points(): Points;
}

/** Points of the second half of the time. */
export function laterHalf({ times, values }: Points): Points {
  const time = ((times[0] ?? 0) + (times.at(-1) ?? 0)) / 2;
  const index = times.findIndex((sampled) => sampled >= time);
  const first = index < 0 ? times.length : index;
  return { times: times.subarray(first), values: values.subarray(first) };
}

/**
 * Samples of one figure in order of arrival, with their number and duration. Samples that are not later than
 * the last one are rejected.
 */
export abstract class Samples {
  #samples = 0;
  #first = 0;
  #last: { readonly time: number; readonly value: number } | undefined;

  get samples(): number {
    return this.#samples;
  }

  /** Seconds between the first sample and the last. */
  get seconds(): number {
    return this.#last === undefined ? 0 : this.#last.time - this.#first;
  }

  /** The last sample. */
  get last(): { readonly time: number; readonly value: number } | undefined {
    return this.#last;
  }

  /**
   * @param time seconds
   * @returns false if the sample is not later than the previous one, and was ignored
   */
  add(time: number, value: number): boolean {
    if (!Number.isFinite(time) || !Number.isFinite(value))
      throw new TypeError('a sample is a finite number: what is not known is left out');
    if (this.#last !== undefined && time <= this.#last.time) return false;
    if (this.#last === undefined) this.#first = time;
    this.#last = { time, value };
    this.#samples++;
    this.keep(time, value);
    return true;
  }

  protected abstract keep(time: number, value: number): void;
}

/** A trend of this many points is nearly as accurate as one of thousands, and its cost is limited. */
const MAX_POINTS = 64;

/**
 * Samples of one figure, in limited memory: when it is full, neighbours are merged into their mean, and later
 * points are means of twice as many samples. So it shows changes over seconds and over days.
 */
export class Series extends Samples {
  readonly #times = new Float64Array(MAX_POINTS);
  readonly #values = new Float64Array(MAX_POINTS);
  #points = 0;
  /** Number of samples in the mean of each point. */
  #each = 1;
  /** Sums of the incomplete point. */
  #waiting = { samples: 0, time: 0, value: 0 };

  protected keep(time: number, value: number): void {
    const { samples, time: times, value: values } = this.#waiting;
    this.#waiting = { samples: samples + 1, time: times + time, value: values + value };
    if (this.#waiting.samples === this.#each) this.#takeWaiting();
  }

  /** Complete points, without the samples since the last of them. */
  points(): Points {
    return { times: this.#times.subarray(0, this.#points), values: this.#values.subarray(0, this.#points) };
  }

  #takeWaiting(): void {
    const { samples, time, value } = this.#waiting;
    this.#waiting = { samples: 0, time: 0, value: 0 };
    this.#times[this.#points] = time / samples;
    this.#values[this.#points] = value / samples;
    if (++this.#points === MAX_POINTS) this.#halve();
  }

  #halve(): void {
    for (const list of [this.#times, this.#values])
      for (let at = 0; at < MAX_POINTS / 2; at++) list[at] = ((list[2 * at] ?? 0) + (list[2 * at + 1] ?? 0)) / 2;
    this.#points = MAX_POINTS / 2;
    this.#each *= 2;
  }
}

/** Median of numbers in ascending order, without NaN. */
export function medianOf(sorted: Float64Array): number {
  const [below, above] = [(sorted.length - 1) >> 1, sorted.length >> 1];
  return ((sorted[below] ?? Number.NaN) + (sorted[above] ?? Number.NaN)) / 2;
}
