import { ExhaustedError, isHostError } from '../../base/errors/host.js';
import { MOST_ERRORS } from '../read/contents.js';

/**
 * Why something is not in a snapshot. `absent`: this host, or kernel, has no such thing; `gone`: it ended
 * meanwhile; `cut`: only its beginning is in it.
 */
export const FAILURE_CODES = ['gone', 'denied', 'unreadable', 'absent', 'cut'] as const;
export type FailureCode = (typeof FAILURE_CODES)[number];

export interface Failure {
  readonly path: string;
  readonly code: FailureCode;
  readonly words: string;
}

/** What could not be taken. Each path once. */
export class Failures {
  readonly #all = new Map<string, Failure>();
  /** Those that there was no room for. */
  #more = 0;

  add(path: string, code: FailureCode, words: string): void {
    if (this.#all.has(path)) return;
    if (this.#all.size < MOST_ERRORS) this.#all.set(path, { path, code, words });
    else this.#more++;
  }

  /**
   * Notes why a path could not be read.
   *
   * @param absent it was not there from the beginning, rather than gone
   * @throws what is no error of the host
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

  /** Without words, and with other paths: for who is not to know the host's names. */
  anonymous(path: (real: string) => string): Failures {
    const made = new Failures();
    for (const failure of this.#all.values()) made.add(path(failure.path), failure.code, '');
    made.#more = this.#more;
    return made;
  }

  /** How many there are of each code. */
  counts(): Readonly<Record<FailureCode, number>> {
    const counts = { gone: 0, denied: 0, unreadable: this.#more, absent: 0, cut: 0 };
    for (const { code } of this.#all.values()) counts[code]++;
    return counts;
  }

  /** The file `errors`: a line of each. Paths are a host's: what would break a line is written as octal. */
  text(): string {
    const lines = this.list().map(
      ({ path, code, words }) => `${octal(path)}\t${code}\t${words.replaceAll(/\s+/g, ' ')}\n`,
    );
    if (this.#more > 0) lines.push(`errors\tcut\t${this.#more} more\n`);
    return Buffer.from(lines.join(''), 'utf8').toString('latin1');
  }
}

/** As mountinfo writes paths: backslash, tab and line break in octal. */
export function octal(path: string): string {
  return path.replaceAll(
    /[\\\t\n]/g,
    (each) => `\\${each.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}
