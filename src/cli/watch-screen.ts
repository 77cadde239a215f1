import { WATCH_SORTS, type WatchSort, watchFrame } from '../report/skcheck/frame.js';
import type { SkcheckReport } from '../report/skcheck/schema.js';
import type { SkcheckOptions } from './skcheck-asked.js';
import { textOptions } from './skcheck-look.js';
import { WatchTerminal, type Wish } from './watch-terminal.js';

/** The live table of `--watch`: the last report, and what of it somebody wants to see. */
export class WatchScreen {
  #report: SkcheckReport | null = null;
  #sort: WatchSort = 'worst';
  #skipped = 0;
  #mostSkipped = 0;
  readonly #terminal: WatchTerminal;

  constructor(
    readonly options: SkcheckOptions,
    readonly interval: number,
    readonly quit: () => void,
  ) {
    this.#terminal = new WatchTerminal(
      (wish) => this.#obey(wish),
      () => this.#draw(),
    );
    this.#terminal.open();
  }

  show(report: SkcheckReport): void {
    this.#report = report;
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
    if (wish === 'sort') {
      const next = (WATCH_SORTS.indexOf(this.#sort) + 1) % WATCH_SORTS.length;
      this.#sort = WATCH_SORTS[next] ?? 'worst';
      this.#skipped = 0;
    } else {
      const page = Math.max(1, this.#terminal.rows - 6);
      const by = {
        up: -1,
        down: 1,
        'page-up': -page,
        'page-down': page,
        first: Number.NEGATIVE_INFINITY,
        last: Number.POSITIVE_INFINITY,
      }[wish];
      this.#skipped = Math.min(this.#mostSkipped, Math.max(0, this.#skipped + by));
    }
    this.#draw();
  }

  #draw(): void {
    const terminal = this.#terminal;
    const options = textOptions(this.options);
    const report = this.#report;
    if (!report) {
      terminal.draw([`watching for ${this.interval} s …`]);
      return;
    }
    const { lines, mostSkipped } = watchFrame(
      report,
      {
        columns: options.width ?? 80,
        rows: terminal.rows,
        sort: this.#sort,
        skipped: this.#skipped,
        when: `${report.host.takenAt.slice(11, 19)} UTC, every ${this.interval} s`,
        keys: terminal.keys,
      },
      options,
    );
    this.#mostSkipped = mostSkipped;
    this.#skipped = Math.min(this.#skipped, mostSkipped);
    terminal.draw(lines);
  }
}
