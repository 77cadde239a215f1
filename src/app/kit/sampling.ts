import { setTimeout as delay } from 'node:timers/promises';

/** Looks again and again until it is told to stop, by a signal or otherwise, or has looked often enough. */
export class SampleLoop {
  readonly #stopped = new AbortController();
  #looks = 0;

  /** How many looks were begun. */
  get count(): number {
    return this.#looks;
  }

  /** It was told to stop before it had looked often enough. */
  get interrupted(): boolean {
    return this.#stopped.signal.aborted;
  }

  readonly stop = (): void => this.#stopped.abort();

  /**
   * SIGINT, SIGTERM and SIGHUP end it once the look is done that was begun.
   *
   * @param interval seconds between the beginnings of two looks
   */
  async run(interval: number, most: number, look: () => Promise<void>): Promise<void> {
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, this.stop);
    try {
      while (this.#looks < most && !this.interrupted) {
        const begun = performance.now();
        this.#looks++;
        await look();
        if (this.#looks < most) await this.#rest(1000 * interval - (performance.now() - begun));
      }
    } finally {
      for (const signal of signals) process.off(signal, this.stop);
    }
  }

  /** Lets time pass, and keys and signals be noticed, until it is over or we are told to stop. */
  async #rest(milliseconds: number): Promise<void> {
    const { signal } = this.#stopped;
    try {
      await delay(Math.max(0, milliseconds), undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
