import type { Losses } from '../recording.js';

/** What a follower lost, so far. */
export class LossesCount {
  unknownFrees = 0;
  missedFrees = 0;
  withoutStack = 0;
  dropped = 0;
  #overrun: number | null = 0;

  /** @param count null: nobody knows how many */
  lost(count: number | null): void {
    this.#overrun = count === null || this.#overrun === null ? null : this.#overrun + count;
  }

  get losses(): Losses {
    const { unknownFrees, missedFrees, withoutStack, dropped } = this;
    return { overrun: this.#overrun, unknownFrees, missedFrees, withoutStack, dropped };
  }
}
