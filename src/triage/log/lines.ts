import type { LogCaller, LogRecord, Printer, TextRecord } from '../../records/log-records.js';
import { beginsWithCommand, isOfKernel } from '../../walk/log/record.js';
import type { Finding, LogEvidence } from '../finding.js';

/** One line of a message. */
export interface LogLine {
  readonly seq: number;
  /** Null: a text log without timestamps. */
  readonly timestamp: bigint | null;
  readonly printedTime?: string;
  /** Trimmed, and at most `MAX_LINE` characters. Untrusted. */
  readonly text: string;
}

/** A message, by its first line: further lines may be part of a name that contains a newline. */
export interface LogMessage extends LogLine {
  readonly caller: LogCaller | null;
  /** Complete text, trimmed, and at most `MAX_LINE` characters. Untrusted. */
  readonly whole: string;
  /** Lines after the first. */
  readonly further: readonly string[];
  /** Whether it begins with the name of a program. */
  readonly ofCommand: boolean;
  /** Whether it is text without a printk prefix. */
  readonly bare: boolean;
  readonly printer?: Printer | undefined;
}

/** Maximum length of a line: nothing relevant follows. */
const MAX_LINE = 1024;
const MAX_LINES = 64;

/** Lines of kernel messages, without those of programs. */
export function* linesOf(records: Iterable<LogRecord | TextRecord>): Generator<LogLine> {
  for (const record of records) {
    if (!isOfKernel(record)) continue;
    const { seq, timestamp, text } = record;
    const wall = 'bare' in record ? wallTime(record) : {};
    for (const line of text.split('\n')) yield { seq, timestamp, ...wall, text: cut(line) };
  }
}

/** Converts a record to a kernel message; undefined: a program wrote it. */
export function messageOf(record: LogRecord | TextRecord): LogMessage | undefined {
  if (!isOfKernel(record)) return undefined;
  const { seq, timestamp, caller } = record;
  const whole = cut(record.text.trimStart());
  const [first = '', ...further] = whole.includes('\n') ? whole.split('\n', MAX_LINES) : [whole];
  const ofText = 'bare' in record;
  return {
    seq,
    timestamp,
    caller,
    whole,
    ...(ofText ? wallTime(record) : {}),
    text: first.trim(),
    further: further.map((line) => line.trim()),
    ofCommand: beginsWithCommand(whole),
    bare: ofText && record.bare,
    ...(ofText ? { printer: record.printer } : {}),
  };
}

function wallTime({ printedTime }: TextRecord): { printedTime?: string } {
  return printedTime === '' ? {} : { printedTime };
}

function cut(line: string): string {
  return line.slice(0, MAX_LINE).trim();
}

/**
 * Groups of a regular expression in a message. Matches the first line, or the complete message, since a name
 * may contain a newline.
 */
export function groupsIn(
  { text, whole }: Pick<LogMessage, 'text' | 'whole'>,
  pattern: RegExp,
): Readonly<Record<string, string | undefined>> | undefined {
  const match = pattern.exec(text) ?? (whole === text ? null : pattern.exec(whole));
  return match === null ? undefined : (match.groups ?? {});
}

export function evidenceOf({ seq, timestamp, printedTime, text }: LogLine): LogEvidence {
  return { kind: 'log', seq, timestamp, ...(printedTime === undefined ? {} : { printedTime }), text };
}

/** Number of messages to include before and after each requested one. */
const BEFORE = 15;
const AFTER = 15;

/** A message near an event. */
export interface NearMessage {
  readonly record: LogRecord | TextRecord;
  /** Whether it is one of the requested messages. */
  readonly asked: boolean;
  /** Whether messages are omitted between the previous one and this one. */
  readonly gap: boolean;
}

/**
 * Messages around the requested ones, in order and without duplicates. @param seqs of the requested messages
 */
export function messagesAround(records: readonly (LogRecord | TextRecord)[], seqs: ReadonlySet<number>): NearMessage[] {
  const near = new Set<number>();
  for (const [index, { seq }] of records.entries()) {
    if (!seqs.has(seq)) continue;
    const last = Math.min(records.length - 1, index + AFTER);
    for (let at = Math.max(0, index - BEFORE); at <= last; at++) near.add(at);
  }
  const order = [...near].sort((a, b) => a - b);
  return order.map((at, place) => {
    const record = records[at]!;
    return { record, asked: seqs.has(record.seq), gap: place > 0 && order[place - 1] !== at - 1 };
  });
}

/** Assembles a report from several messages. */
export interface ReportReader {
  /** @returns a finding after its last message, or at the first message of the next one */
  take(message: LogMessage): Finding | undefined;
  /** Returns the unfinished report, whose last message the log lacks. */
  end(): Finding | undefined;
  /** Whether a report is open. */
  readonly isOpen: boolean;
}

/** Maximum number of callers with open reports: more than the CPUs that print at once. */
const MAX_OPEN = 256;

/** A report ends after this many messages: task tables are that long. */
const MAX_MESSAGES = 50_000;

/**
 * One reader for each task or interrupt that prints: CPUs print at the same time, and their messages are
 * interleaved. If the kernel records no callers, one reader is used for all messages.
 */
export class ByCaller {
  readonly #make: () => ReportReader;
  readonly #open = new Map<string, ReportReader>();
  #idle: ReportReader;
  #messages = 0;

  constructor(make: () => ReportReader) {
    this.#make = make;
    this.#idle = make();
  }

  /** Whether a report is open. */
  get isOpen(): boolean {
    return this.#open.size > 0;
  }

  *take(message: LogMessage): Generator<Finding | undefined> {
    const { caller } = message;
    if (this.#open.size > 0 && ++this.#messages % MAX_MESSAGES === 0) yield this.#endOldest();
    const key = caller === null ? '' : `${caller.kind} ${caller.id}`;
    const known = this.#open.get(key);
    const reader = known ?? this.#idle;
    yield reader.take(message);
    if (known !== undefined) {
      if (!reader.isOpen) this.#open.delete(key);
    } else if (reader.isOpen) {
      this.#open.set(key, reader);
      this.#idle = this.#make();
      if (this.#open.size > MAX_OPEN) yield this.#endOldest();
    }
  }

  *end(): Generator<Finding | undefined> {
    for (const reader of this.#open.values()) yield reader.end();
    this.#open.clear();
  }

  #endOldest(): Finding | undefined {
    const [[key, reader] = []] = this.#open;
    if (key !== undefined) this.#open.delete(key);
    return reader?.end();
  }
}
