import { emitKeypressEvents, type Key } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { columnsOf, cutWords } from '../../answers/text/cut.js';
import type { ScreenFrame, ScreenView } from '../../answers/text/watch-page.js';
import { terminalWidth } from './terminal.js';

interface Drawn<Shown> {
  /** Line shown before the first data. */
  readonly waiting: string;
  readonly quit: () => void;
  readonly frame: (shown: Shown, view: ScreenView) => ScreenFrame;
  /** Called when the sort key is pressed; the screen then scrolls to its first row. */
  readonly sort?: () => void;
}

/** A scrollable table of the latest data that is redrawn in place. */
export class WatchScreen<Shown> {
  #shown: Shown | undefined;
  #skipped = 0;
  #mostSkipped = 0;
  readonly #terminal: WatchTerminal;

  constructor(readonly drawn: Drawn<Shown>) {
    this.#terminal = new WatchTerminal(
      (action) => this.#obey(action),
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

  #obey(requested: ScreenAction): void {
    if (requested === 'quit') {
      this.drawn.quit();
      return;
    }
    if (requested === 'sort') {
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
      }[requested];
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
    const { lines, mostSkipped } = this.drawn.frame(this.#shown, { columns, rows, skipped: this.#skipped, keys });
    this.#mostSkipped = mostSkipped;
    this.#skipped = Math.min(this.#skipped, mostSkipped);
    this.#terminal.draw(lines.map((line) => fitted(line, columns)));
  }
}

/** Truncates a line that is too wide, and removes its colours: the terminal would cut through its values. */
function fitted(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line);
  return columnsOf(plain) <= columns ? line : cutWords(plain, columns);
}

const HOME = '\u001b[H';
const ERASE_LINE = '\u001b[K';
const ERASE_BELOW = '\u001b[J';
const SHOW_CURSOR = '\u001b[?25h';
const HIDE_CURSOR = '\u001b[?25l';
/** Makes the terminal truncate long lines instead of wrapping them, in case our column count is wrong. */
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';

const USUAL_ROWS = 24;

/** Action that a key triggers. */
type ScreenAction = 'quit' | 'sort' | 'up' | 'down' | 'page-up' | 'page-down' | 'first' | 'last';

/** Actions by node's key names. */
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

/** Actions of Ctrl-C and Ctrl-D, which the terminal does not handle in raw mode. */
const CONTROL_KEYS: Readonly<Record<string, ScreenAction>> = { c: 'quit', d: 'quit' };

/**
 * A terminal that is redrawn in place. If stdin is a terminal, keys are read one by one without echo. {@link
 * restore} restores the terminal's state. It runs at the latest when the process exits, also after a handled
 * signal or an exception.
 */
class WatchTerminal {
  /** Whether keys are read. */
  readonly keys: boolean;
  #open = false;
  #suspended = false;
  readonly #restore = () => this.restore();
  readonly #pressed = (_: string | undefined, key: Key) => this.#press(key);
  readonly #resized = () => this.onResize();
  readonly #continued = () => this.#enter();

  constructor(
    readonly onAction: (action: ScreenAction) => void,
    readonly onResize: () => void,
  ) {
    this.keys = process.stdin.isTTY === true;
  }

  /** Takes over the terminal, and calls `onResize` for the first time. */
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
   * Draws all lines, at most as many as the terminal has rows; the last one ends without a line feed. Each
   * row is erased before it is written: after a line of full width the cursor is still on its last character.
   */
  draw(lines: readonly string[]): void {
    if (!this.#open || this.#suspended) return;
    const last = lines.length - 1;
    const text = lines.map((line, at) => `${at < last ? ERASE_LINE : ERASE_BELOW}${line}`);
    process.stdout.write(`${HOME}${text.join('\r\n')}`);
  }

  /** Restores the terminal, and leaves the cursor below the last output. */
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
    const keyAction = (ctrl ? CONTROL_KEYS : KEYS)[name];
    if (keyAction && this.#open) this.onAction(keyAction);
  }

  /** Handles Ctrl-Z, which the terminal does not handle in raw mode. */
  #suspend(): void {
    this.#leave();
    this.#suspended = true;
    process.kill(process.pid, 'SIGTSTP');
  }
}

/** Samples repeatedly until a signal, a key, or the requested number of samples. */
export class SampleLoop {
  readonly #stopped = new AbortController();
  #samples = 0;

  /** Number of started samples. */
  get count(): number {
    return this.#samples;
  }

  /** Whether it was stopped before the requested number of samples. */
  get interrupted(): boolean {
    return this.#stopped.signal.aborted;
  }

  readonly stop = (): void => this.#stopped.abort();

  /**
   * Runs the loop. SIGINT, SIGTERM and SIGHUP stop it after the current sample.
   *
   * @param interval seconds between the starts of two samples
   */
  async run(interval: number, most: number, sample: () => Promise<void>): Promise<void> {
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, this.stop);
    try {
      while (this.#samples < most && !this.interrupted) {
        const begun = performance.now();
        this.#samples++;
        await sample();
        if (this.#samples < most) await this.#rest(1000 * interval - (performance.now() - begun));
      }
    } finally {
      for (const signal of signals) process.off(signal, this.stop);
    }
  }

  /** Waits while keys and signals are handled; returns early on a stop. */
  async #rest(milliseconds: number): Promise<void> {
    const { signal } = this.#stopped;
    try {
      await delay(Math.max(0, milliseconds), undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
