import { type Behind, behindOutput, type NearLine } from './console.js';
import { decoderOf, type TextDecoder } from './encoding.js';
import {
  anchorOf,
  FRAME,
  headOf,
  KNOWN,
  type LearntPrefix,
  type LineForm,
  MAX_HEAD,
  MONOTONIC,
  PRINTERS,
  type Prefixed,
  REST,
  STARTS_WITH_TAG,
  splitPrefix,
  splitRemainder,
  TIMED,
} from './prefix.js';
import { ShapeCounter } from './shapes.js';

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
/** Maximum number of lines that determine the form of a text. */
const MAX_LINES = 2000;
/** Number of lines of each further part of a text that show whether its form is still known. */
const CHECKED = 16;
/** Number of bytes at the start of a text, or of a part of it, that determine its form. */
export const SNIFFED = 1 << 18;
/** Number of lines around a line that show what it contains, and their maximum length together. */
const AROUND = 8;
const MAX_AROUND = 4096;
/** Maximum number of prefixes that are learnt. */
const MAX_HEADS = 32;

/** Tag of the kernel in a journal. */
const TAG = ' kernel: ';
const JOURNAL_KERNEL = '"_TRANSPORT":"kernel"';
/** An unknown vendor's CPU and task: brackets with letters, digits and a separator. */
const OTHER_PRINTER =
  /^ ?[A-Z]?[[(](?!<)(?=[^\])]{0,60}\d)(?=[^\])]{0,60}[A-Za-z])[^\])]{0,60}[:,@][^\])]{0,60}[\])] ?/;
const FURTHER_LINE = new RegExp(`^([ \\t]*[^ \\t].*?)${REST}`);
/** The usual prefix, without anything that would need a closer look. */
const PLAIN = /(?:<\d{1,3}>)?\[ *\d{1,9}\.\d{6}\] (?![[( -]|[A-Z]\[)/y;

const CLOCK_IN = String.raw`\[ *(\d{1,9}\.\d{6})\] `;
/** Messages that a terminal or a web page joined: padded, or all in one line. */
const JOINED = new RegExp(`^(?:<\\d{1,3}>)?${CLOCK_IN}.*\\S(?: {8,}${CLOCK_IN}|(?: +${CLOCK_IN}.*\\S){3})`, 'm');
const FIRST_CLOCK = new RegExp(`^(?:<\\d{1,3}>)?${CLOCK_IN}`);
const JOINT = new RegExp(`(\\S) +(?=${CLOCK_IN})`, 'g');

/** Begins a line at each clock that does not go back: a message may quote the clock of another processor. */
function separated(text: string): string {
  const lines = text.split('\n').map((line) => {
    let last = Number(FIRST_CLOCK.exec(line)?.[1] ?? Number.NaN);
    return line.replace(JOINT, (all, before: string, clock: string) => {
      if (!(Number(clock) >= last)) return all;
      last = Number(clock);
      return `${before}\n`;
    });
  });
  return lines.join('\n');
}

/** Learns the form of a text's lines; splits them, and counts its kernel messages. */
export class LogFormat {
  readonly #seen = new Map<LineForm, number>();
  #form: LineForm | undefined;
  readonly #heads = new Set<string>();
  #bare = 0;
  #learnt: LearntPrefix = {};
  #decode: TextDecoder | undefined;
  #isFirst = true;
  #isJoined = false;
  #hasOtherTags = false;
  /** Where the tag of the newest line of syslog begins, and the colons before it. */
  #tagAt = -1;
  #colons: readonly number[] = [];
  #messages = 0;
  #others = 0;
  /** Number of lines that look like a kernel's without a prefix that is known. */
  unknown = 0;
  /** Number of lines with the beginning of a kernel's report behind other output, which nothing confirms. */
  unconfirmed = 0;
  /** Whether the first lines contain one that looks like a kernel's, in whatever format. */
  looksLikeKernel = false;

  /** Learns the form of a text from its first lines. @param text one character per byte */
  sniff(text: string): this {
    this.#decode = decoderOf(text);
    const decoded = this.#decode(text);
    this.#isJoined = JOINED.test(decoded);
    this.#learn(this.#isJoined ? separated(decoded) : decoded);
    return this;
  }

  /** Removes what carried the log; learns from a further part of the text whose lines are not known yet. */
  decode(text: string): string {
    const whole = this.#decode?.(text) ?? text;
    const decoded = this.#isJoined ? separated(whole) : whole;
    const unknown = this.#isFirst ? undefined : this.#unknownAt(decoded);
    if (unknown !== undefined) this.#learn(decoded.slice(unknown, unknown + SNIFFED));
    return decoded;
  }

  /** Undefined if no line so far has a known form. */
  get form(): LineForm | undefined {
    return this.#form;
  }

  get name(): string | undefined {
    const { form } = this;
    const isMixed = form === 'dmesg' && this.#bare > (this.#seen.get(form) ?? 0) / MIXED;
    return form && (isMixed ? 'console output' : NAMES[form]);
  }

  /** Number of messages so far; a text without any known form has messages without a prefix, if it has any. */
  get messages(): number {
    return this.#messages + (this.form === undefined ? this.#others : 0);
  }

  /**
   * Splits a line; undefined if another program wrote it.
   *
   * @param isFirst whether it is the first of the text, which may have lost its beginning
   */
  split(line: string, isFirst: boolean): Prefixed | undefined {
    const split = splitPrefix(line, this.#learnt);
    const isCut = isFirst && split?.bare && this.form !== undefined && this.form !== 'json';
    return (isCut && splitRemainder(line, this.#learnt)) || split;
  }

  /**
   * Splits a line; two parts if a kernel's message is behind other output on a console.
   *
   * @param text one character per byte; the line is from start to end
   * @param decode of its characters
   */
  splitAt(text: string, start: number, end: number, isFirst: boolean, decode: (line: string) => string): Prefixed[] {
    return this.#partsAt(text, start, end, isFirst, decode).parts;
  }

  #partsAt(text: string, start: number, end: number, isFirst: boolean, decode: (line: string) => string): Parts {
    const line = text.slice(start, end);
    const split = this.split(decode(line), isFirst);
    if (split === undefined) return { parts: [] };
    const behind = this.#behind(line, split, text, start, end);
    if (behind?.at === undefined) return { parts: [split], behind };
    const message = splitPrefix(decode(line.slice(behind.at)), { printer: this.#learnt.printer });
    const before = this.split(decode(line.slice(0, behind.at)).trimEnd(), false);
    const printedTime = message?.printedTime || split.printedTime;
    return { parts: [before, message && { ...message, printedTime }].filter((part) => part !== undefined), behind };
  }

  /** What a line of a console contains behind a program's output. */
  #behind(line: string, split: Prefixed, text: string, start: number, end: number): Behind | undefined {
    const isOfConsole = this.form === undefined || (this.form === 'dmesg' && !this.#learnt.hasTags);
    if (!isOfConsole || !this.#isPlain(line, split)) return undefined;
    const near = function* (this: LogFormat, lines: readonly string[]): Generator<NearLine> {
      for (const line of lines) {
        const parts = line.trim() === '' ? undefined : splitPrefix(line.replace(/\r+$/, ''), this.#learnt);
        if (parts) yield { ...parts, isPlain: this.#isPlain(line, parts) };
      }
    };
    return behindOutput(line, headOf(line, this.#learnt).length, {
      before: () =>
        near.call(
          this,
          text
            .slice(Math.max(0, start - MAX_AROUND), start)
            .split('\n')
            .slice(-AROUND)
            .reverse(),
        ),
      after: () => near.call(this, text.slice(end + 1, end + MAX_AROUND).split('\n', AROUND)),
    });
  }

  /** Whether a line has nothing of the kernel's own prefix. */
  #isPlain(line: string, { bare, level, timestamp, text }: Prefixed): boolean {
    if (bare || this.#heads.size === 0) return bare;
    return level === null && timestamp === null && headOf(line, this.#learnt).length + text.length >= line.length;
  }

  /** Counts the messages in complete lines. @param text one character per byte */
  count(text: string): void {
    const { form } = this;
    let at = this.#isFirst ? this.#countLine(text, 0) : 0;
    this.#isFirst = false;
    if (
      form !== 'syslog' ||
      this.#seen.size > 1 ||
      this.#hasOtherTags ||
      this.#heads.size > 0 ||
      this.#learnt.host !== undefined
    ) {
      while (at < text.length) at = this.#countLine(text, at);
      return;
    }
    // Most lines of a journal are those of other programs, and the others begin alike.
    let [tag, bracket, level] = [-2, -2, -2];
    const next = (mark: string, known: number, from: number) =>
      known === -1 || known >= from ? known : text.indexOf(mark, from);
    while (at < text.length) {
      tag = next(TAG, tag, at);
      bracket = next('\n[', bracket, at - 1);
      level = next('\n<', level, at - 1);
      const tagged = tag < 0 ? text.length : text.lastIndexOf('\n', tag) + 1;
      let start = tagged;
      if (bracket >= 0 && bracket < start) start = bracket + 1;
      if (level >= 0 && level < start) start = level + 1;
      if (start === text.length) return;
      at = start === tagged ? this.#countEntry(text, start, tag) : this.#countLine(text, start);
    }
  }

  /** Counts a line of syslog like the one before it, if it begins like that. @returns the start of the next line */
  #countEntry(text: string, start: number, tag: number): number {
    let isAlike = tag - start === this.#tagAt;
    for (let index = 0, from = start; isAlike && index < this.#colons.length; index++) {
      const colon = start + (this.#colons[index] ?? 0);
      isAlike = text.indexOf(':', from) === colon;
      from = colon + 1;
    }
    if (isAlike) {
      this.#messages++;
      const end = text.indexOf('\n', tag);
      return end < 0 ? text.length : end + 1;
    }
    const before = this.#messages;
    const next = this.#countLine(text, start);
    this.#remember(this.#messages > before ? text.slice(start, tag + TAG.length) : '');
    return next;
  }

  #remember(head: string): void {
    this.#tagAt = head.endsWith(TAG) ? head.length - TAG.length : -1;
    this.#colons = [...head.matchAll(/:/g)].map(({ index }) => index);
  }

  /** @returns the start of the next line */
  #countLine(text: string, start: number): number {
    const stop = text.indexOf('\n', start);
    const end = stop < 0 ? text.length : stop;
    const { form } = this;
    PLAIN.lastIndex = start;
    if (this.#heads.size === 0 && this.#learnt.host === undefined && PLAIN.test(text)) {
      this.#messages++;
      this.#form ??= 'dmesg';
    } else {
      const line = text.slice(start, end);
      const isEntry = form === 'json' && line.includes(JOURNAL_KERNEL);
      const { parts, behind } = isEntry
        ? KERNEL_ENTRY
        : this.#partsAt(text, start, end, this.#isFirst, (bytes) => bytes);
      for (const { bare, form: own } of parts)
        if (bare) this.#others++;
        else {
          this.#messages++;
          this.#form ??= own;
        }
      if (behind && behind.at === undefined) this.unconfirmed++;
      if (behind?.at === undefined && parts[0]?.bare && looksLikeKernel(line, form === undefined)) this.unknown++;
    }
    return end + 1;
  }

  /** Where a further part of the text has lines of an unknown form that can be learnt. */
  #unknownAt(text: string): number | undefined {
    return [0, text.indexOf('\n', text.length >> 1) + 1].find((from) => {
      const lines = text.slice(from, from + SNIFFED).split('\n', CHECKED);
      const unread = lines.filter((line) => line.trim() !== '' && splitPrefix(line, this.#learnt)?.bare);
      return unread.length > lines.length / 2 && unread.some((line) => looksLikeKernel(line, true));
    });
  }

  #learn(text: string): void {
    const whole = Buffer.from(text, 'latin1').toString('utf8');
    const lines = whole
      .split('\n', MAX_LINES)
      .map((line) => line.replace(/\r+$/, ''))
      .filter((line) => line.trim() !== '');
    this.#learnt = { ...this.#learnt, host: this.#learnt.host ?? hostOf(lines) };
    const plain = lines.map((line) => splitPrefix(line, { host: this.#learnt.host }));
    this.#learnHeads(lines, plain);
    const splits = this.#heads.size === 0 ? plain : lines.map((line) => splitPrefix(line, this.#learnt));
    this.#learnt = { ...this.#learnt, printer: this.#learnt.printer ?? printerOf(splits) };
    for (const split of splits)
      if (split?.form) this.#seen.set(split.form, (this.#seen.get(split.form) ?? 0) + 1);
      else if (split) this.#bare++;
    const other = lines.find((_, index) => splits[index] === undefined);
    // A log that begins with lines of other programs may contain kernel messages further on, unless they are between.
    const hasKnown = splits.some((split) => split && KNOWN.exec(split.text)?.index === 0);
    if (this.#seen.size === 0 && other !== undefined && !hasKnown)
      this.#seen.set(other.startsWith('{"') ? 'json' : 'syslog', 1);
    this.#form = [...this.#seen].sort(([, count], [, other]) => other - count)[0]?.[0];
    this.looksLikeKernel ||= this.#form === undefined && lines.some((line) => looksLikeKernel(line, true));
  }

  /** @param splits the lines, as they are without any prefix that is learnt */
  #learnHeads(lines: readonly string[], splits: readonly (Prefixed | undefined)[]): void {
    const shapes = new ShapeCounter();
    let [tagged, untagged] = [0, 0];
    for (const [index, line] of lines.entries()) {
      const split = splits[index];
      if (split === undefined) continue;
      const start = line.slice(0, MAX_HEAD);
      if (!split.bare) {
        if (split.form === 'syslog') {
          tagged++;
          shapes.addEntry(start.slice(0, anchorOf(start)));
          this.#hasOtherTags ||= !line.includes(TAG);
        } else untagged++;
        shapes.add('', 'clock');
        continue;
      }
      const at = anchorOf(start);
      const isTag = at !== undefined && STARTS_WITH_TAG.test(start.slice(at));
      const first = at === undefined || isTag ? KNOWN.exec(start) : null;
      // A message may contain the word.
      const known = first && first.index < (at ?? Number.POSITIVE_INFINITY) ? first : null;
      if (at !== undefined && !known) {
        this.#hasOtherTags ||= !isTag;
        if (isTag) tagged++;
        else untagged++;
        shapes.add(start.slice(0, at), isTag ? 'tag' : 'clock');
      } else if (known) shapes.add(headBefore(start, known), { message: known[0].replace(/\d+/g, '') });
      else {
        const frame = FRAME.exec(start);
        const rest = frame ? null : FURTHER_LINE.exec(start);
        if (frame) shapes.add(headBefore(start, frame), 'frame');
        else if (rest?.[1] !== undefined) shapes.add(rest[1], 'rest');
      }
    }
    const hasTags = this.#learnt.hasTags ?? tagged > untagged;
    if (tagged + untagged > 0) this.#learnt = { ...this.#learnt, hasTags };
    for (const pattern of shapes.patterns(lines, tagged > untagged / 10)) this.#heads.add(pattern);
    if (this.#heads.size === 0) return;
    // The longest first: one may begin like another.
    const heads = [...this.#heads].sort((a, b) => b.length - a.length).slice(0, MAX_HEADS);
    this.#learnt = { ...this.#learnt, heads: new RegExp(`(?:${heads.join('|')})`, 'y') };
  }
}

/** What precedes a message, without the level that some lines of a text without a clock have (pstore). */
function headBefore(line: string, { index }: RegExpExecArray): string {
  return line.slice(0, index).replace(/<[0-7]> ?$/, '');
}

/** The messages in a line, and what is behind other output in it. */
interface Parts<Part = Prefixed> {
  readonly parts: Part[];
  readonly behind?: Behind | undefined;
}

/** A message of the journal, for counting. */
const KERNEL_ENTRY: Parts<Pick<Prefixed, 'bare' | 'form'>> = { parts: [{ bare: false, form: 'json' }] };

/** Host of a journal whose lines begin with the kernel's clock; '' if it prints none. */
function hostOf(lines: readonly string[]): string | undefined {
  let [clocked, hostless] = [0, 0];
  for (const line of lines) {
    const { tag, host = '' } = MONOTONIC.exec(line)?.groups ?? {};
    if (tag !== undefined || line.startsWith('[')) clocked++;
    if (tag === undefined || !STARTS_WITH_TAG.test(`${tag}:`)) continue;
    if (host !== '') return host;
    hostless++;
  }
  return hostless >= 2 && hostless >= clocked / 5 ? '' : undefined;
}

/** What a vendor's kernel prints between its clock and the messages. */
function printerOf(splits: readonly (Prefixed | undefined)[]): RegExp | undefined {
  const texts = splits.flatMap((split) => (split && split.timestamp !== null ? [split.text] : []));
  const has = (pattern: RegExp) => texts.filter((text) => text.search(pattern) === 0);
  if (has(PRINTERS).length >= Math.max(2, texts.length / 3)) return new RegExp(PRINTERS.source, 'y');
  const others = has(OTHER_PRINTER);
  const isUsual = others.length >= 8 && others.length >= texts.length * 0.9;
  return isUsual && new Set(others.map((text) => OTHER_PRINTER.exec(text)?.[0])).size > 1
    ? new RegExp(OTHER_PRINTER.source, 'y')
    : undefined;
}

/** Whether a line without a known prefix looks like a kernel's. @param isAlone whether no other line has a known one */
function looksLikeKernel(line: string, isAlone: boolean): boolean {
  const start = line.slice(0, MAX_HEAD);
  return (anchorOf(start) ?? 0) > 0 || TIMED.test(start) || (isAlone && KNOWN.test(start));
}
