import { cutWords } from '../../answers/text/cut.js';
import { takesEscapes, terminalWidth } from './terminal-width.js';

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
