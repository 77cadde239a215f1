import type { MemoryAnswer } from '../account/memory/answer.js';
import type { Look } from '../account/memory/changes.js';
import { watchPage } from '../report/memory/watch.js';
import { cut } from '../report/text/cut.js';
import { terminalWidth } from './terminal-width.js';
import { WatchTerminal, type Wish } from './watch-terminal.js';

/** The live table of `memory --watch`: the last look, and which of its rows somebody wants to see. */
export class MemoryScreen {
  #shown: { readonly answer: MemoryAnswer; readonly look: Look } | undefined;
  #skipped = 0;
  #mostSkipped = 0;
  readonly #terminal: WatchTerminal;

  constructor(
    readonly interval: number,
    readonly quit: () => void,
  ) {
    this.#terminal = new WatchTerminal(
      (wish) => this.#obey(wish),
      () => this.#draw(),
    );
    this.#terminal.open();
  }

  show(answer: MemoryAnswer, look: Look): void {
    this.#shown = { answer, look };
    this.#draw();
  }

  end(): void {
    this.#terminal.restore();
  }

  #obey(wish: Wish): void {
    if (wish === 'quit') {
      this.quit();
      return;
    }
    const page = Math.max(1, this.#terminal.rows - 6);
    const by = {
      ...{ sort: 0, up: -1, down: 1, 'page-up': -page, 'page-down': page },
      ...{ first: Number.NEGATIVE_INFINITY, last: Number.POSITIVE_INFINITY },
    }[wish];
    this.#skipped = Math.min(this.#mostSkipped, Math.max(0, this.#skipped + by));
    this.#draw();
  }

  #draw(): void {
    const { rows, keys } = this.#terminal;
    const width = terminalWidth() ?? 80;
    if (!this.#shown) {
      this.#terminal.draw(['looking …']);
      return;
    }
    const { answer, look } = this.#shown;
    const page = watchPage(answer, look, width);
    // The footer, the heading and one row have their place; the headline takes what else there is.
    const top = page.top.slice(0, Math.max(1, rows - 3));
    const room = Math.max(0, rows - top.length - 2);
    this.#mostSkipped = Math.max(0, page.rows.length - room);
    this.#skipped = Math.min(this.#skipped, this.#mostSkipped);
    const shown = page.rows.slice(this.#skipped, this.#skipped + room);
    const end = page.end.slice(0, room - shown.length);
    const lines = [...top, page.heading, ...shown, ...end].slice(0, rows - 1);
    const free = Array<string>(Math.max(0, rows - 1 - lines.length)).fill('');
    const when = `look ${look.number}, ${look.at.toISOString().slice(11, 19)} UTC, every ${this.interval} s`;
    const words = keys ? ['q: quit', '↑↓: scroll', when] : ['Ctrl-C: quit', when];
    this.#terminal.draw([...lines, ...free, cut(words.join('  '), width)].slice(-rows));
  }
}
