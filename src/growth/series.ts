import type { Points } from './points.js';

/** A trend over so many points is hardly less sure than over thousands, and its cost is bounded. */
const MOST_POINTS = 64;

/**
 * Samples of one figure, in bounded memory however many come: when there is no room, neighbours are made one
 * point, their mean, and from then on as many samples go into each. So a slow change of days is seen as well as
 * one of seconds.
 */
export class Series {
  readonly #times = new Float64Array(MOST_POINTS);
  readonly #values = new Float64Array(MOST_POINTS);
  #points = 0;
  /** Samples of which each point is the mean. */
  #each = 1;
  /** What has come for the point that is not whole yet. */
  #waiting = { samples: 0, time: 0, value: 0 };
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

  /** What came last. */
  get last(): { readonly time: number; readonly value: number } | undefined {
    return this.#last;
  }

  /**
   * @param time seconds
   * @returns false: it is not later than the one before, and was not taken
   */
  add(time: number, value: number): boolean {
    if (!Number.isFinite(time) || !Number.isFinite(value))
      throw new TypeError('a sample is a finite number: what is not known is left out');
    if (this.#last !== undefined && time <= this.#last.time) return false;
    if (this.#last === undefined) this.#first = time;
    this.#last = { time, value };
    this.#samples++;
    const { samples, time: times, value: values } = this.#waiting;
    this.#waiting = { samples: samples + 1, time: times + time, value: values + value };
    if (this.#waiting.samples === this.#each) this.#takeWaiting();
    return true;
  }

  /** Whole points; what has come since the last of them is not in any. */
  points(): Points {
    return {
      times: this.#times.subarray(0, this.#points),
      values: this.#values.subarray(0, this.#points),
    };
  }

  #takeWaiting(): void {
    const { samples, time, value } = this.#waiting;
    this.#waiting = { samples: 0, time: 0, value: 0 };
    this.#times[this.#points] = time / samples;
    this.#values[this.#points] = value / samples;
    if (++this.#points === MOST_POINTS) this.#halve();
  }

  #halve(): void {
    for (const list of [this.#times, this.#values])
      for (let at = 0; at < MOST_POINTS / 2; at++)
        list[at] = ((list[2 * at] ?? 0) + (list[2 * at + 1] ?? 0)) / 2;
    this.#points = MOST_POINTS / 2;
    this.#each *= 2;
  }
}
