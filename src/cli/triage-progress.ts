import { Progress } from './progress.js';

/** How far a run over many dumps is, and when it ends if the rest takes as long as what is done. */
export class ManyProgress {
  readonly #progress = new Progress();
  readonly #begun = performance.now();
  readonly #count: number;
  #skipped = 0;
  #done = 0;
  #failed = 0;

  constructor(count: number) {
    this.#count = count;
  }

  /** An earlier run told it. */
  skip(): void {
    this.#skipped++;
    this.#show();
  }

  done(ok: boolean): void {
    this.#done++;
    if (!ok) this.#failed++;
    this.#show();
  }

  clear(): void {
    this.#progress.clear();
  }

  #show(): void {
    const seconds = (performance.now() - this.#begun) / 1000;
    this.#progress.show(
      progressWords(this.#count, this.#skipped, this.#done, this.#failed, seconds),
    );
  }
}

/** @param skipped dumps that took no time */
export function progressWords(
  count: number,
  skipped: number,
  done: number,
  failed: number,
  seconds: number,
): string {
  const left = count - skipped - done;
  const bad = failed === 0 ? '' : `, ${failed} not readable`;
  const when = done === 0 ? '' : `, about ${timeWords((seconds / done) * left)} left`;
  return `${skipped + done} of ${count} dumps${bad}${when}`;
}

function timeWords(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 100) return `${whole} s`;
  const minutes = Math.ceil(whole / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`;
}
