import { styleText } from 'node:util';
import { cutWords } from '../../answers/text/cut.js';
import { isServed } from './served.js';

/** Default width for a terminal of unknown width, such as a serial line. */
const USUAL_WIDTH = 80;

/** Properties of stdout that are used. */
interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/**
 * Returns the columns for an answer: the terminal's width, or null for a pipe or file, where nothing is
 * truncated. `COLUMNS` applies to a terminal of unknown width.
 */
export function terminalWidth(
  output: Output = process.stdout,
  environment: NodeJS.ProcessEnv = process.env,
): number | null {
  if (!output.isTTY) return null;
  const candidates = [output.columns, Number(environment.COLUMNS)];
  return candidates.find((width) => Number.isInteger(width) && Number(width) > 0) ?? USUAL_WIDTH;
}

/**
 * Whether an output is a terminal that supports escape sequences, for colours and for lines that are redrawn
 * in place.
 */
export function takesEscapes({ isTTY }: Output = process.stdout, { TERM }: NodeJS.ProcessEnv = process.env): boolean {
  return isTTY === true && TERM !== 'dumb';
}

/** Emphasizes text, if the output supports it. */
export type Paint = (style: 'bold' | 'red' | 'yellow' | 'dim', text: string) => string;

/** Returns colours if the terminal supports them; NO_COLOR (https://no-color.org) turns them off. */
export function painter(): Paint {
  return takesEscapes() && !process.env.NO_COLOR
    ? // The library's own check would also detect CI environments.
      (style, words) => styleText(style, words, { validateStream: false })
    : (_, words) => words;
}

/** Whether the locale has no characters but ASCII (POSIX, 8.2: LC_ALL, LC_CTYPE and LANG, the first that is set). */
export function isAsciiLocale({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv = process.env): boolean {
  return ['C', 'POSIX'].includes(LC_ALL || LC_CTYPE || LANG || '');
}

/** ASCII for the characters of answers; others become `?`, as in iconv. */
export function asciiText(text: string): string {
  const known: Readonly<Record<string, string>> = {
    '…': '...',
    '’': "'",
    '“': '"',
    '”': '"',
    '×': 'x',
    '←': '<-',
    '→': '->',
    '↔': '<->',
    '–': '-',
    '−': '-',
    '·': '.',
    '≥': '>=',
    '≤': '<=',
    '±': '+-',
    '\u00a0': ' ',
  };
  return text.replace(/[^\0-\x7f]/gu, (character) => known[character] ?? '?');
}

const FRAME_MS = 100;

/** Minimum elapsed time before the remaining time is shown; earlier estimates are unreliable. */
const TELLS_LEFT_MS = 2_000;

/**
 * A line on stderr that is redrawn in place during a slow operation. Nothing is printed if stderr cannot be
 * redrawn.
 */
export class Progress {
  #drawn = false;
  /** Rows above the line that are removed with it. */
  #above = 0;
  #last = Number.NEGATIVE_INFINITY;

  /** Shows `text`, which must be plain, unless the line was redrawn very recently. */
  show(text: string): void {
    if (!takesEscapes(process.stderr) || !this.#isDue()) return;
    this.#drawn = true;
    // Wrapped text in the next row would not be erased.
    const room = (terminalWidth(process.stderr) ?? Number.POSITIVE_INFINITY) - 1;
    process.stderr.write(`\r\x1b[K${cutWords(text, room)}`);
  }

  /**
   * Shows progress with the estimated remaining time.
   *
   * @param doing the activity, in plain words
   * @returns a function to call with the completed part, 0 to 1
   */
  of(doing: string): (part: number) => void {
    const began = performance.now();
    return (part) => {
      if (isServed) {
        if (this.#isDue()) process.send?.({ part, doing });
        return;
      }
      const elapsed = performance.now() - began;
      const left =
        elapsed < TELLS_LEFT_MS || part <= 0 ? '' : `, ${Math.ceil((elapsed * (1 - part)) / part / 1_000)} s left`;
      this.show(`${doing} … ${Math.round(part * 100)} %${left}`);
    };
  }

  #isDue(): boolean {
    const now = performance.now();
    if (now - this.#last < FRAME_MS) return false;
    this.#last = now;
    return true;
  }

  /** Shows lines above the line until the end. Each is cut to one row. */
  soFar(lines: readonly string[]): void {
    if (!takesEscapes(process.stderr)) return;
    const room = (terminalWidth(process.stderr) ?? Number.POSITIVE_INFINITY) - 1;
    process.stderr.write(`\r\x1b[K${lines.map((line) => `${cutWords(`so far: ${line}`, room)}\n`).join('')}`);
    this.#above += lines.length;
  }

  /** Removes the line, and those above it. */
  clear(): void {
    if (this.#above > 0) process.stderr.write(`\r\x1b[${this.#above}A\x1b[J`);
    else if (this.#drawn) process.stderr.write('\r\x1b[K');
    [this.#drawn, this.#above] = [false, 0];
  }
}
