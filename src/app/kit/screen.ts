import { emitKeypressEvents, type Key } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';
import { columnsOf, cutWords } from '../../answers/text/cut.js';
import type { ScreenFrame, ScreenView } from '../../answers/text/watch-page.js';
import { terminalWidth } from './terminal.js';

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

  #obey(wish: ScreenAction): void {
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
    const { rows, keys } = this.#terminal;
    if (this.#shown === undefined) {
      this.#terminal.draw([this.drawn.waiting]);
      return;
    }
    const columns = terminalWidth() ?? 80;
    const { lines, mostSkipped } = this.drawn.frame(this.#shown, {
      columns,
      rows,
      skipped: this.#skipped,
      keys,
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

const HOME = '\u001b[H';
const ERASE_LINE = '\u001b[K';
const ERASE_BELOW = '\u001b[J';
const SHOW_CURSOR = '\u001b[?25h';
const HIDE_CURSOR = '\u001b[?25l';
/** What is longer than a line is cut by the terminal too, should we count wrongly. */
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';

const USUAL_ROWS = 24;

/** What somebody wants who pressed a key. */
type ScreenAction = 'quit' | 'sort' | 'up' | 'down' | 'page-up' | 'page-down' | 'first' | 'last';

/** By the names that Node gives to keys. */
const KEYS: Readonly<Record<string, ScreenAction>> = {
  q: 'quit',
  s: 'sort',
  right: 'sort',
  k: 'up',
  up: 'up',
  j: 'down',
  down: 'down',
  pageup: 'page-up',
  pagedown: 'page-down',
  space: 'page-down',
  home: 'first',
  end: 'last',
};

/** In raw mode nobody else sees to these. */
const CONTROL_KEYS: Readonly<Record<string, ScreenAction>> = { c: 'quit', d: 'quit' };

/**
 * A terminal that is redrawn in place. Keys come one by one and unseen where stdin is a terminal; how
 * the terminal was before is brought back by {@link restore}, at the latest when the process exits:
 * also by a signal that is handled, or an exception.
 */
class WatchTerminal {
  /** Keys are read. */
  readonly keys: boolean;
  #open = false;
  #suspended = false;
  readonly #restore = () => this.restore();
  readonly #pressed = (_: string | undefined, key: Key) => this.#press(key);
  readonly #resized = () => this.onResize();
  readonly #continued = () => this.#enter();

  constructor(
    readonly onWish: (wish: ScreenAction) => void,
    readonly onResize: () => void,
  ) {
    this.keys = process.stdin.isTTY === true;
  }

  /** Takes the terminal over; `onResize` is called for a first time. */
  open(): void {
    this.#open = true;
    process.once('exit', this.#restore);
    process.stdout.on('resize', this.#resized);
    process.on('SIGCONT', this.#continued);
    if (this.keys) {
      emitKeypressEvents(process.stdin);
      process.stdin.on('keypress', this.#pressed);
    }
    this.#enter();
  }

  get rows(): number {
    return process.stdout.rows || USUAL_ROWS;
  }

  /**
   * Draws all lines, which are no more than there are rows: the last one ends without a line feed. Each is erased
   * before it is written: after a line of full width the cursor still stands on its last character.
   */
  draw(lines: readonly string[]): void {
    if (!this.#open || this.#suspended) return;
    const last = lines.length - 1;
    const text = lines.map((line, at) => `${at < last ? ERASE_LINE : ERASE_BELOW}${line}`);
    process.stdout.write(`${HOME}${text.join('\r\n')}`);
  }

  /** The terminal is as it was, and the cursor under what was drawn last. */
  restore(): void {
    if (!this.#open) return;
    this.#leave();
    this.#open = false;
    process.off('exit', this.#restore);
    process.stdout.off('resize', this.#resized);
    process.off('SIGCONT', this.#continued);
    process.stdin.off('keypress', this.#pressed);
    if (this.keys) process.stdin.pause();
  }

  #enter(): void {
    this.#suspended = false;
    if (this.keys) process.stdin.setRawMode(true);
    process.stdout.write(`${HIDE_CURSOR}${NO_WRAP}${HOME}${ERASE_BELOW}`);
    this.onResize();
  }

  #leave(): void {
    if (this.keys) process.stdin.setRawMode(false);
    process.stdout.write(`${WRAP}${SHOW_CURSOR}\r\n`);
  }

  #press({ name = '', ctrl }: Key): void {
    if (ctrl && name === 'z') this.#suspend();
    const wish = (ctrl ? CONTROL_KEYS : KEYS)[name];
    if (wish && this.#open) this.onWish(wish);
  }

  /** Ctrl-Z, which in raw mode nobody else sees to. */
  #suspend(): void {
    this.#leave();
    this.#suspended = true;
    process.kill(process.pid, 'SIGTSTP');
  }
}
