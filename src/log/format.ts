import { type LineForm, monotonicHost, splitPrefix } from './prefix.js';

/** Common names of logs with lines of each form. */
const NAMES: Readonly<Record<LineForm, string>> = {
  json: 'journal (JSON or export)',
  kmsg: '/dev/kmsg',
  syslog: 'syslog or journal',
  dmesg: 'dmesg',
};

/**
 * A dmesg log counts as console output if it has more than one line without a prefix per this many lines with
 * one.
 */
const MIXED = 10;
/** Maximum number of first lines that determine the form of a text. */
const MOST_LINES = 4000;
const BRACKET = '['.charCodeAt(0);
const LESS = '<'.charCodeAt(0);

/** Determines the form of a text's lines, and counts its kernel messages. */
export class LogFormat {
  readonly #seen = new Map<LineForm, number>();
  #bare = 0;
  messages = 0;

  /**
   * Detects the form from the first lines of a text.
   *
   * @returns the host of the journal, if lines begin with the kernel's clock
   */
  sniff(text: string): string | undefined {
    const lines = text.split('\n', MOST_LINES);
    const host = lines.map(monotonicHost).find((one) => one !== undefined);
    for (const line of lines) {
      const split = splitPrefix(line, host);
      // A log that begins with lines of other programs may contain kernel messages further on.
      const form = split ? split.form : line.startsWith('{"') ? 'json' : 'syslog';
      if (form) this.#seen.set(form, (this.#seen.get(form) ?? 0) + 1);
      else if (split && split.text.trim() !== '') this.#bare++;
    }
    return host;
  }

  /** Undefined if no line so far has a known form. */
  get form(): LineForm | undefined {
    return [...this.#seen].sort(([, a], [, b]) => b - a)[0]?.[0];
  }

  get name(): string | undefined {
    const { form } = this;
    const isMixed = form === 'dmesg' && this.#bare > (this.#seen.get(form) ?? 0) / MIXED;
    return form && (isMixed ? 'console output' : NAMES[form]);
  }

  /** Counts the messages in complete lines. */
  count(text: string): void {
    const { form } = this;
    if (form === 'syslog' || form === 'json') {
      const mark = form === 'syslog' ? ' kernel: ' : '"_TRANSPORT":"kernel"';
      for (let at = text.indexOf(mark); at >= 0; ) {
        this.messages++;
        // A message may contain the mark more than once.
        const next = text.indexOf('\n', at);
        at = next < 0 ? -1 : text.indexOf(mark, next);
      }
      return;
    }
    for (let at = 0; at >= 0 && at < text.length; ) {
      const letter = text.charCodeAt(at);
      if (form !== 'dmesg' || letter === BRACKET || letter === LESS) this.messages++;
      at = text.indexOf('\n', at);
      if (at >= 0) at++;
    }
  }
}
