import type { Warnings } from '../warnings.js';

/**
 * CPUs' clocks may differ by so much when they begin, and a message takes its time before its place.
 * Nanoseconds.
 */
const MOST_BACK = 10_000_000_000n;

/**
 * The log's clock is the CPU's own. The kernel's is trimmed by NTP by up to 500 parts in a million, and
 * the CPU's is measured as exactly: in ten days they may be a quarter of an hour apart.
 */
const DRIFT = 1000n;

/** The kernel's clock stands when its last tick was: a CPU that no interrupt reaches may print on. Nanoseconds. */
const MOST_WITHOUT_TICK = 600_000_000_000n;

/** Holds the time of each message against that of those before, and against the kernel's clock. */
export class TimeOrder {
  readonly #warnings: Warnings;
  readonly #end: bigint | undefined;
  #latest = 0n;

  /** @param uptime nanoseconds, sleep included, which some machines' logs count; undefined: not known */
  constructor(warnings: Warnings, uptime: bigint | undefined) {
    this.#warnings = warnings;
    this.#end = uptime === undefined ? undefined : uptime + uptime / DRIFT + MOST_WITHOUT_TICK;
  }

  add(name: string, timestamp: bigint): void {
    if (this.#latest - timestamp > MOST_BACK)
      this.#warnings.add('corrupt', `much older than the preceding message: ${name}`);
    if (this.#end !== undefined && timestamp > this.#end)
      this.#warnings.add('corrupt', `timestamp is after the kernel stopped: ${name}`);
    if (timestamp > this.#latest) this.#latest = timestamp;
  }
}
