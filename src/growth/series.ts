import type { Points } from './points.js';
import { Samples } from './samples.js';

/** A trend over so many points is hardly less sure than over thousands, and its cost is bounded. */
const MOST_POINTS = 64;

/**
 * Samples of one figure, in bounded memory however many come: when there is no room, neighbours are made one
 * point, their mean, and from then on as many samples go into each. So a slow change of days is seen as well as
 * one of seconds.
 */
export class Series extends Samples {
  readonly #times = new Float64Array(MOST_POINTS);
  readonly #values = new Float64Array(MOST_POINTS);
  #points = 0;
  /** Samples of which each point is the mean. */
  #each = 1;
  /** What has come for the point that is not whole yet. */
  #waiting = { samples: 0, time: 0, value: 0 };

  protected keep(time: number, value: number): void {
    const { samples, time: times, value: values } = this.#waiting;
    this.#waiting = { samples: samples + 1, time: times + time, value: values + value };
    if (this.#waiting.samples === this.#each) this.#takeWaiting();
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
