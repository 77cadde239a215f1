import { stripVTControlCharacters } from 'node:util';
import { columnsOf, cutWords } from '../report/text/cut.js';
import type { ScreenFrame, ScreenView } from '../report/text/watch-page.js';
import { terminalWidth } from './terminal-width.js';
import { WatchTerminal, type Wish } from './watch-terminal.js';

interface Drawn<Shown> {
  /** The line that stands there before there is anything to show. */
  readonly waiting: string;
  readonly quit: () => void;
  readonly frame: (shown: Shown, view: ScreenView) => ScreenFrame;
  /** The key that sorts was pressed; the screen then begins at its first row. */
  readonly sort?: () => void;
}

/** A table that is redrawn in place and can be scrolled: the last of what was shown. */
export class WatchScreen<Shown> {
  #shown: Shown | undefined;
  #skipped = 0;
  #mostSkipped = 0;
  readonly #terminal: WatchTerminal;

  constructor(readonly drawn: Drawn<Shown>) {
    this.#terminal = new WatchTerminal(
      (wish) => this.#obey(wish),
      () => this.#draw(),
    );
    this.#terminal.open();
  }

  show(shown: Shown): void {
    this.#shown = shown;
    this.#draw();
  }

  end(): void {
    this.#terminal.restore();
  }

  #obey(wish: Wish): void {
    if (wish === 'quit') {
      this.drawn.quit();
      return;
    }
    if (wish === 'sort') {
      this.drawn.sort?.();
      if (this.drawn.sort) this.#skipped = 0;
    } else {
      const page = Math.max(1, this.#terminal.rows - 6);
      const by = {
        ...{ up: -1, down: 1, 'page-up': -page, 'page-down': page },
        ...{ first: Number.NEGATIVE_INFINITY, last: Number.POSITIVE_INFINITY },
      }[wish];
      this.#skipped = Math.min(this.#mostSkipped, Math.max(0, this.#skipped + by));
    }
    this.#draw();
  }

  #draw(): void {
    const { rows, keys } = this.#terminal;
    if (this.#shown === undefined) {
      this.#terminal.draw([this.drawn.waiting]);
      return;
    }
    const columns = terminalWidth() ?? 80;
    const { lines, mostSkipped } = this.drawn.frame(this.#shown, {
      ...{ columns, rows, skipped: this.#skipped, keys },
    });
    this.#mostSkipped = mostSkipped;
    this.#skipped = Math.min(this.#skipped, mostSkipped);
    this.#terminal.draw(lines.map((line) => fitted(line, columns)));
  }
}

/** A line that is too wide, without its colours: the terminal would cut its figures. */
function fitted(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line);
  return columnsOf(plain) <= columns ? line : cutWords(plain, columns);
}
