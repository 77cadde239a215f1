import { type LineForm, monotonicHost, splitPrefix } from './prefix.js';

/** What people call a log whose lines have such a form. */
const NAMES: Readonly<Record<LineForm, string>> = {
  json: 'journal (JSON or export)',
  kmsg: '/dev/kmsg',
  syslog: 'syslog or journal',
  dmesg: 'dmesg',
};

/** Lines of other output from which on a log of printk's form is that of a console: 1 of so many. */
const MIXED = 10;
/** The form of a text is that of so many first lines. */
const MOST_LINES = 4000;
const BRACKET = '['.charCodeAt(0);
const LESS = '<'.charCodeAt(0);

/** Which form the lines of a text have, and how many messages of the kernel it contains. */
export class LogFormat {
  readonly #seen = new Map<LineForm, number>();
  #bare = 0;
  messages = 0;

  /**
   * Learns the form from the first lines of a text.
   *
   * @returns the host whose journal it is, where lines begin with the kernel's clock
   */
  sniff(text: string): string | undefined {
    const lines = text.split('\n', MOST_LINES);
    const host = lines.map(monotonicHost).find((one) => one !== undefined);
    for (const line of lines) {
      const split = splitPrefix(line, host);
      // A log in which other programs have written first may have messages of the kernel further on.
      const form = split ? split.form : line.startsWith('{"') ? 'json' : 'syslog';
      if (form) this.#seen.set(form, (this.#seen.get(form) ?? 0) + 1);
      else if (split && split.text.trim() !== '') this.#bare++;
    }
    return host;
  }

  /** Undefined: no line of those that were seen has a form that is known. */
  get form(): LineForm | undefined {
    return [...this.#seen].sort(([, a], [, b]) => b - a)[0]?.[0];
  }

  get name(): string | undefined {
    const { form } = this;
    const isMixed = form === 'dmesg' && this.#bare > (this.#seen.get(form) ?? 0) / MIXED;
    return form && (isMixed ? 'console output' : NAMES[form]);
  }

  /** Counts the messages in whole lines. */
  count(text: string): void {
    const { form } = this;
    if (form === 'syslog' || form === 'json') {
      const mark = form === 'syslog' ? ' kernel: ' : '"_TRANSPORT":"kernel"';
      for (let at = text.indexOf(mark); at >= 0; ) {
        this.messages++;
        // A message may have the mark in it again.
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
