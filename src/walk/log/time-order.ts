import type { Warnings } from '../warnings.js';

/**
 * CPUs' clocks may differ by so much when they begin, and a message takes its time before its place.
 * Nanoseconds.
 */
const MOST_BACK = 10_000_000_000n;

/** Holds the time of each message against that of those before, and against the kernel's clock. */
export class TimeOrder {
  readonly #warnings: Warnings;
  readonly #end: bigint | undefined;
  #latest = 0n;

  /** @param end the time when the kernel stopped; undefined: not known */
  constructor(warnings: Warnings, end: bigint | undefined) {
    this.#warnings = warnings;
    this.#end = end;
  }

  add(name: string, timestamp: bigint): void {
    if (this.#latest - timestamp > MOST_BACK)
      this.#warnings.add('corrupt', `much older than one before it: ${name}`);
    if (this.#end !== undefined && timestamp - this.#end > MOST_BACK)
      this.#warnings.add('corrupt', `of a time after the kernel stopped: ${name}`);
    if (timestamp > this.#latest) this.#latest = timestamp;
  }
}
