import { type CopyFacts, type CopyOrder, LEAST_MARKS, MOST_MARKS } from './copy-facts.js';

const LINE = /^ *-?\d{1,18} +-?\d{1,18} (\S{1,512}:\d{1,9} func:\S{1,512})/;

/** Another build has other lines, a few at least; a copy may be damaged. */
const SAME = 0.99;

/**
 * /proc/allocinfo: it has a line for each place in the kernel's source that allocates, also where nothing is held; those
 * of modules aside they are the same as long as the kernel is. It counts what is held, so that no figure only
 * grows: which of two copies is the later one, and whether they are of one start, nothing tells.
 */
export class ProfiledLines implements CopyFacts {
  readonly #lines = new Set<string>();

  line(text: string): void {
    const line = LINE.exec(text)?.[1];
    if (line !== undefined && this.#lines.size < MOST_MARKS) this.#lines.add(line);
  }

  after(earlier: ProfiledLines): CopyOrder {
    const least = Math.min(this.#lines.size, earlier.#lines.size);
    const common = [...this.#lines].filter((line) => earlier.#lines.has(line)).length;
    return least >= LEAST_MARKS && common < SAME * least ? 'unrelated' : 'untold';
  }
}
