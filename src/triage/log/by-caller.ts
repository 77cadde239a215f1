import type { Finding } from '../finding.js';
import type { LogMessage } from './lines.js';

/** Puts a report together that has several messages. */
export interface ReportReader {
  /** @returns a finding when its last message has come, or that of the next */
  take(message: LogMessage): Finding | undefined;
  /** What has begun, and whose last message the log does not have. */
  end(): Finding | undefined;
  /** Something has begun. */
  readonly isOpen: boolean;
}

/** Callers whose reports are open at once: more than machines have CPUs that print. */
const MOST_OPEN = 256;

/**
 * A reader for each task or interrupt that prints: CPUs print at once, and their messages are mixed. Where the
 * kernel notes no callers all are one.
 */
export class ByCaller {
  readonly #make: () => ReportReader;
  readonly #open = new Map<string, ReportReader>();
  #idle: ReportReader;

  constructor(make: () => ReportReader) {
    this.#make = make;
    this.#idle = make();
  }

  *take(message: LogMessage): Generator<Finding | undefined> {
    const { caller } = message;
    const key = caller === null ? '' : `${caller.kind} ${caller.id}`;
    const known = this.#open.get(key);
    const reader = known ?? this.#idle;
    yield reader.take(message);
    if (known !== undefined) {
      if (!reader.isOpen) this.#open.delete(key);
    } else if (reader.isOpen) {
      this.#open.set(key, reader);
      this.#idle = this.#make();
      if (this.#open.size > MOST_OPEN) yield this.#endOldest();
    }
  }

  *end(): Generator<Finding | undefined> {
    for (const reader of this.#open.values()) yield reader.end();
  }

  #endOldest(): Finding | undefined {
    const [[key, reader] = []] = this.#open;
    if (key !== undefined) this.#open.delete(key);
    return reader?.end();
  }
}
