import { cutWords } from '../../answers/text/cut.js';

/** Of a terminal that does not tell its own, such as one on a serial line. */
const USUAL_WIDTH = 80;

/** What is asked of stdout. */
interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/**
 * How many columns an answer may take: those of the terminal that it goes to; null where it goes into
 * a pipe or a file, in which nothing is cut. `COLUMNS` counts for a terminal that does not tell.
 */
export function terminalWidth(
  output: Output = process.stdout,
  environment: NodeJS.ProcessEnv = process.env,
): number | null {
  if (!output.isTTY) return null;
  const told = [output.columns, Number(environment.COLUMNS)];
  return told.find((width) => Number.isInteger(width) && Number(width) > 0) ?? USUAL_WIDTH;
}

/** Whether an output is a terminal that knows escape sequences: colours, lines that are redrawn in place. */
export function takesEscapes(
  { isTTY }: Output = process.stdout,
  { TERM }: NodeJS.ProcessEnv = process.env,
): boolean {
  return isTTY === true && TERM !== 'dumb';
}

const FRAME_MS = 100;

/** Before, what is left is no more than a guess. */
const TELLS_LEFT_MS = 2_000;

/** A line on stderr that is redrawn in place while something takes long; silent where nothing can be redrawn. */
export class Progress {
  #drawn = false;
  #last = Number.NEGATIVE_INFINITY;

  /** Shows `text`, which must be plain, unless the line was redrawn a moment ago. */
  show(text: string): void {
    if (!takesEscapes(process.stderr)) return;
    const now = performance.now();
    if (now - this.#last < FRAME_MS) return;
    this.#last = now;
    this.#drawn = true;
    // What goes on in the next row stays there.
    const room = (terminalWidth(process.stderr) ?? Number.POSITIVE_INFINITY) - 1;
    process.stderr.write(`\r\x1b[K${cutWords(text, room)}`);
  }

  /**
   * Shows how much of something is done, and how long the rest takes if it goes on like this.
   *
   * @param doing what, in plain words
   * @returns to be told now and then which part is done, 0 to 1
   */
  of(doing: string): (part: number) => void {
    const began = performance.now();
    return (part) => {
      const taken = performance.now() - began;
      const left =
        taken < TELLS_LEFT_MS || part <= 0
          ? ''
          : `, ${Math.ceil((taken * (1 - part)) / part / 1_000)} s left`;
      this.show(`${doing} … ${Math.round(part * 100)} %${left}`);
    };
  }

  /** Removes the line. */
  clear(): void {
    if (this.#drawn) process.stderr.write('\r\x1b[K');
    this.#drawn = false;
  }
}
