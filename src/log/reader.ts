import type { TextRecord } from '../records/log-records.js';
import { BOOT_TRIGGERS, type Boot, BootCounter } from './boots.js';
import { LogFormat, SNIFFED } from './format.js';
import { programLine, unescapeBytes } from './prefix.js';

/** Receives the messages of a text. */
export interface MessageSink {
  take(record: TextRecord): void;
  /** Receives a line that another program wrote. */
  takeProgram?(line: string, seq: number): void;
  /** Whether it needs every following message; otherwise only lines that match `triggers`. */
  readonly isOpen: boolean;
  readonly triggers: RegExp;
}

/** Format of a text, and how much of it was read. */
export interface TextLogSummary {
  /** `dmesg`, `journal`, …; undefined if it contains no kernel message. */
  readonly format: string | undefined;
  readonly messages: number;
  readonly lines: number;
  readonly bytes: number;
  /** Number of boots; `boots` has their details, the oldest first. */
  readonly bootCount: number;
  readonly boots: readonly Boot[];
  /** Number of lines longer than any message: only their first part was read. */
  readonly cutLines: number;
  /** Number of lines that look like a kernel's, but have no known prefix. */
  readonly unknownLines: number;
  /** Number of lines with the beginning of a kernel's report behind other output, which the lines around do not confirm. */
  readonly unconfirmedLines: number;
}

const UNKNOWN = { comm: '', subsystem: '', device: '' };
const LINE_END = 10;
const BLANK = 32;
/** Maximum length of a line, bytes. */
const MAX_LINE = 1 << 20;
const NOT_ASCII = /[^\0-\x7f]/;
/** One line per this many skipped bytes is parsed, to detect a clock that goes back. */
const SAMPLED = 1 << 12;
/** Maximum length of a separator between boots. */
const MAX_MARK = 64;
/** A property line, which /dev/kmsg prints below a message. */
const PROPERTY = /^ (?<key>[A-Z]\w{0,40})=(?<value>.*)$/;

/**
 * Reads a text that contains a kernel log, part by part, in bounded memory. Lines that begin no finding are
 * skipped without parsing.
 */
export class TextLogReader {
  readonly #sink: MessageSink;
  readonly #triggers: RegExp;
  readonly #format = new LogFormat();
  readonly #boots = new BootCounter();
  #rest: Buffer = Buffer.alloc(0);
  #isFirst = true;
  /** Whether the input is within the rest of a line that is too long. */
  #isSkipping = false;
  #lines = 0;
  #bytes = 0;
  #cutLines = 0;

  constructor(sink: MessageSink) {
    this.#sink = sink;
    this.#triggers = new RegExp(`${sink.triggers.source}|${BOOT_TRIGGERS}`, 'g');
  }

  push(part: Buffer): void {
    this.#bytes += part.length;
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, part]) : part;
    this.#rest = Buffer.alloc(0);
    this.#add(data);
  }

  #add(data: Buffer): void {
    if (this.#isSkipping) {
      const end = data.indexOf(LINE_END) + 1;
      if (end === 0) return;
      this.#isSkipping = false;
      this.#add(data.subarray(end));
      return;
    }
    const end = this.#wholeLines(data);
    if (end === 0 && data.length > MAX_LINE) {
      this.#read(data.subarray(0, MAX_LINE));
      this.#cutLines++;
      this.#isSkipping = true;
      this.#add(data.subarray(MAX_LINE));
      return;
    }
    const isEarly = this.#isFirst && data.length < SNIFFED;
    if (!isEarly) this.#read(data.subarray(0, end));
    this.#rest = Buffer.from(isEarly ? data : data.subarray(end));
  }

  end(): TextLogSummary {
    if (this.#rest.length > 0) this.#read(this.#rest);
    this.#rest = Buffer.alloc(0);
    const { name: format, messages, unknown: unknownLines, unconfirmed: unconfirmedLines } = this.#format;
    return {
      format,
      messages,
      lines: this.#lines,
      bytes: this.#bytes,
      cutLines: this.#cutLines,
      unknownLines,
      unconfirmedLines,
      bootCount: this.#boots.number,
      boots: this.#boots.list(),
    };
  }

  /**
   * Returns the end of the last complete line. For /dev/kmsg: the start of the last message, whose property
   * lines may follow.
   */
  #wholeLines(data: Buffer): number {
    let end = data.lastIndexOf(LINE_END) + 1;
    if (this.#format.form !== 'kmsg') return end;
    for (let last = end; last > 0; ) {
      const start = last > 1 ? data.lastIndexOf(LINE_END, last - 2) + 1 : 0;
      if (data[start] !== BLANK) return start;
      last = start;
      end = start;
    }
    return end;
  }

  /** @param data complete lines */
  #read(data: Buffer): void {
    // One character per byte: most of it is never read as UTF-8.
    const bytes = data.toString('latin1');
    if (this.#isFirst) this.#format.sniff(bytes.slice(0, SNIFFED));
    this.#isFirst = false;
    const text = this.#format.decode(bytes);
    this.#format.count(text);
    for (let at = 0; at < text.length; ) {
      let start = at;
      if (!this.#sink.isOpen) {
        this.#triggers.lastIndex = at;
        const match = this.#triggers.exec(text);
        start = match ? text.lastIndexOf('\n', match.index) + 1 : text.length;
        this.#pass(text, at, start);
        if (!match) return;
      }
      const endOf = (from: number): number => {
        const stop = text.indexOf('\n', from);
        at = stop < 0 ? text.length : stop + 1;
        return stop < 0 ? text.length : stop;
      };
      const end = endOf(start);
      const properties: string[] = [];
      while (this.#format.form === 'kmsg' && text.charCodeAt(at) === BLANK)
        properties.push(lineOf(text.slice(at, endOf(at))));
      this.#take(text, start, end, properties);
    }
  }

  /** Skips lines without a trigger. */
  #pass(text: string, from: number, to: number): void {
    for (let line = text.indexOf('\n', from); line >= 0 && line < to; this.#lines++)
      line = text.indexOf('\n', line + 1);
    for (let at = from + SAMPLED; at < to; at += SAMPLED) {
      const start = text.indexOf('\n', at) + 1;
      const stop = text.indexOf('\n', start);
      if (start === 0 || stop < 0 || stop > to) return;
      const split = this.#format.split(text.slice(start, stop), false);
      if (split && !split.bare) this.#boots.take(split);
    }
  }

  #take(text: string, start: number, end: number, properties: readonly string[]): void {
    const seq = this.#lines++;
    this.#lines += properties.length;
    if (this.#boots.mark(lineOf(text.slice(start, Math.min(end, start + MAX_MARK))))) return;
    const about = properties.length === 0 ? UNKNOWN : { ...UNKNOWN, ...deviceOf(properties) };
    const parts = this.#format.splitAt(text, start, end, seq === 0, lineOf);
    if (parts.length === 0)
      this.#sink.takeProgram?.(programLine(lineOf(text.slice(start, Math.min(end, start + MAX_LINE)))), seq);
    for (const split of parts) {
      if (split.text === '' && split.bare) continue;
      const boot = this.#boots.take(split);
      const { bootId = this.#boots.id ?? '', form: _, printer, ...message } = split;
      this.#sink.take({ seq, ...about, ...message, boot, bootId, ...(printer && { comm: printer.comm, printer }) });
    }
  }
}

/** Decodes a line of one character per byte. */
function lineOf(bytes: string): string {
  const line = NOT_ASCII.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;
  return line.endsWith('\r') ? line.replace(/\r+$/, '') : line;
}

function deviceOf(properties: readonly string[]): { subsystem?: string; device?: string } {
  const known = new Map(
    properties.map((line) => {
      const { key = '', value = '' } = PROPERTY.exec(line)?.groups ?? {};
      return [key, unescapeBytes(value)];
    }),
  );
  const [subsystem, device] = [known.get('SUBSYSTEM'), known.get('DEVICE')];
  return { ...(subsystem ? { subsystem } : {}), ...(device ? { device } : {}) };
}

/** Returns the messages of a text that contains a kernel log, one record per line, the oldest first. */
export function textRecords(text: string): TextRecord[] {
  const records: TextRecord[] = [];
  const take = (record: TextRecord) => void records.push(record);
  const reader = new TextLogReader({ take, isOpen: true, triggers: /^/ });
  reader.push(Buffer.from(text));
  reader.end();
  return records;
}
