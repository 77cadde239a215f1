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

/** A report that ends has ended after so many messages: tables of tasks have as many lines. */
const MOST_MESSAGES = 50_000;

/**
 * A reader for each task or interrupt that prints: CPUs print at once, and their messages are mixed. Where the
 * kernel notes no callers all are one.
 */
export class ByCaller {
  readonly #make: () => ReportReader;
  readonly #open = new Map<string, ReportReader>();
  #idle: ReportReader;
  #messages = 0;

  constructor(make: () => ReportReader) {
    this.#make = make;
    this.#idle = make();
  }

  /** Something has begun. */
  get isOpen(): boolean {
    return this.#open.size > 0;
  }

  *take(message: LogMessage): Generator<Finding | undefined> {
    const { caller } = message;
    if (this.#open.size > 0 && ++this.#messages % MOST_MESSAGES === 0) yield this.#endOldest();
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
    this.#open.clear();
  }

  #endOldest(): Finding | undefined {
    const [[key, reader] = []] = this.#open;
    if (key !== undefined) this.#open.delete(key);
    return reader?.end();
  }
}
