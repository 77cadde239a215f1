import { ExhaustedError, isHostError } from '../../base/errors.js';
import type { FailureCode } from '../../records/snapshot-parts.js';
import { MAX_ERRORS } from '../read/contents.js';

export interface Failure {
  readonly path: string;
  readonly code: FailureCode;
  readonly words: string;
}

/** Data that could not be read. Each path once. */
export class Failures {
  readonly #all = new Map<string, Failure>();
  /** Number of failures beyond the maximum. */
  #more = 0;

  add(path: string, code: FailureCode, words: string): void {
    if (this.#all.has(path)) return;
    if (this.#all.size < MAX_ERRORS) this.#all.set(path, { path, code, words });
    else this.#more++;
  }

  /**
   * Records why a path could not be read.
   *
   * @param absent it did not exist from the start, rather than disappearing
   * @throws any error other than a HostError
   */
  note(path: string, error: unknown, absent = false): void {
    if (error instanceof ExhaustedError) this.add(path, 'unreadable', error.message);
    else if (!isHostError(error)) throw error;
    else if (error.code === 'gone') this.add(path, absent ? 'absent' : 'gone', error.message);
    else if (error.code === 'denied') this.add(path, 'denied', error.message);
    else this.add(path, 'unreadable', error.message);
  }

  list(): readonly Failure[] {
    return [...this.#all.values()];
  }

  /** Returns a copy without messages and with anonymized paths. */
  anonymous(path: (real: string) => string): Failures {
    const failures = new Failures();
    for (const failure of this.#all.values()) failures.add(path(failure.path), failure.code, '');
    failures.#more = this.#more;
    return failures;
  }

  /** Number of failures by code. */
  counts(): Readonly<Record<FailureCode, number>> {
    const counts = { gone: 0, denied: 0, unreadable: this.#more, absent: 0, cut: 0, large: 0 };
    for (const { code } of this.#all.values()) counts[code]++;
    return counts;
  }

  /**
   * Contents of the file `errors`: one line per failure. Characters in paths that would break a line
   * are written in octal.
   */
  text(): string {
    const lines = this.list().map(
      ({ path, code, words }) => `${octal(path)}\t${code}\t${words.replaceAll(/\s+/g, ' ')}\n`,
    );
    if (this.#more > 0) lines.push(`errors\tcut\t${this.#more} more\n`);
    return Buffer.from(lines.join(''), 'utf8').toString('latin1');
  }
}

/** Escapes a path as mountinfo does: backslash, tab and newline in octal. */
export function octal(path: string): string {
  return path.replaceAll(/[\\\t\n]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
