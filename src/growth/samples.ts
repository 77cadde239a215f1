/** Samples of one figure as they come: how many, since when, and never one that is not later than the last. */
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
    this.keep(time, value);
    return true;
  }

  protected abstract keep(time: number, value: number): void;
}
