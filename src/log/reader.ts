import type { TextRecord } from '../log-records.js';
import { LogFormat } from './format.js';
import { monotonicHost, splitPrefix } from './prefix.js';

/** What takes the messages of a text. */
export interface MessageSink {
  take(record: TextRecord): void;
  /** It needs each message that follows; else only lines in which `triggers` match. */
  readonly isOpen: boolean;
  readonly triggers: RegExp;
}

/** What a text is, and what of it was read. */
export interface TextLogSummary {
  /** `dmesg`, `journal`, …; undefined: it contains no message of a kernel. */
  readonly format: string | undefined;
  readonly messages: number;
  readonly lines: number;
  readonly bytes: number;
  /** Boots whose first message is there. */
  readonly boots: number;
  /** Of the last boot. */
  readonly release: string | undefined;
  /** The oldest message is the first since a boot. */
  readonly fromBoot: boolean;
  /** Lines that were longer than any message: only their first part was read. */
  readonly cutLines: number;
}

const UNKNOWN = { comm: '', subsystem: '', device: '' };
const LINE_END = 10;
/** A line has so many bytes at most. */
const MOST_LINE = 1 << 20;
const BANNER = /^Linux version (?<release>[^\s]+)/;
const NOT_ASCII = /[^\0-\x7f]/;

/**
 * Reads a text that contains a kernel log, part by part, in bounded memory: lines that begin no finding are
 * passed over without taking them apart.
 */
export class TextLogReader {
  readonly #sink: MessageSink;
  readonly #triggers: RegExp;
  readonly #format = new LogFormat();
  #rest: Buffer = Buffer.alloc(0);
  #host: string | undefined;
  #isFirst = true;
  #lines = 0;
  #bytes = 0;
  #boots = 0;
  #release: string | undefined;
  #fromBoot = false;
  #cutLines = 0;

  constructor(sink: MessageSink) {
    this.#sink = sink;
    this.#triggers = new RegExp(`${sink.triggers.source}|Linux version `, 'g');
  }

  push(part: Buffer): void {
    this.#bytes += part.length;
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, part]) : part;
    const end = data.lastIndexOf(LINE_END) + 1;
    if (end === 0 && data.length > MOST_LINE) {
      this.#read(data.subarray(0, MOST_LINE));
      this.#cutLines++;
      this.#rest = Buffer.alloc(0);
      return;
    }
    this.#read(data.subarray(0, end));
    this.#rest = Buffer.from(data.subarray(end));
  }

  end(): TextLogSummary {
    if (this.#rest.length > 0) this.#read(this.#rest);
    this.#rest = Buffer.alloc(0);
    const { name: format, messages } = this.#format;
    return {
      ...{ format, messages, lines: this.#lines, bytes: this.#bytes, boots: this.#boots },
      ...{ release: this.#release, fromBoot: this.#fromBoot, cutLines: this.#cutLines },
    };
  }

  /** @param data whole lines */
  #read(data: Buffer): void {
    // A letter a byte: places in the text are those of the data.
    const text = data.toString('latin1');
    if (this.#isFirst) this.#sniff(text);
    this.#format.count(text);
    for (let at = 0; at < text.length; ) {
      let start = at;
      if (!this.#sink.isOpen) {
        this.#triggers.lastIndex = at;
        const found = this.#triggers.exec(text);
        start = found ? text.lastIndexOf('\n', found.index) + 1 : text.length;
        for (let line = text.indexOf('\n', at); line >= 0 && line < start; this.#lines++)
          line = text.indexOf('\n', line + 1);
        if (!found) return;
      }
      const stop = text.indexOf('\n', start);
      at = stop < 0 ? text.length : stop + 1;
      const letters = text.slice(start, stop < 0 ? text.length : stop);
      this.#take(
        NOT_ASCII.test(letters) ? data.toString('utf8', start, start + letters.length) : letters,
      );
    }
  }

  #take(line: string): void {
    const split = splitPrefix(line.endsWith('\r') ? line.replace(/\r+$/, '') : line, this.#host);
    const seq = this.#lines++;
    if (!split || (split.text === '' && split.bare)) return;
    const banner = split.bare ? null : BANNER.exec(split.text);
    if (banner) {
      this.#boots++;
      this.#release = banner.groups?.release;
    }
    this.#sink.take({ seq, ...UNKNOWN, ...split });
  }

  /** What the first lines tell: the form, and whether the oldest message is that of a boot. */
  #sniff(text: string): void {
    this.#isFirst = false;
    const lines = text.slice(0, 1 << 18).split('\n', 4000);
    this.#host = lines.map(monotonicHost).find((host) => host !== undefined);
    const split = lines.map((line) => splitPrefix(line, this.#host));
    for (const one of split) this.#format.see(one);
    const first = split.find((one) => one && !one.bare);
    this.#fromBoot = first ? BANNER.test(first.text) || first.timestamp === 0n : false;
  }
}
