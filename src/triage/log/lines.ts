import type { LogCaller, LogRecord, TextRecord } from '../../records/log-records.js';
import { beginsWithCommand, isOfKernel } from '../../walk/log/message-origin.js';
import type { LogEvidence } from '../finding.js';

/** One line of a message. */
export interface LogLine {
  readonly seq: number;
  /** Null: the log is text that does not have it. */
  readonly timestamp: bigint | null;
  readonly printedTime?: string;
  /** Without blanks at its ends; at most so long. Hostile. */
  readonly text: string;
}

/** A message, by its first line: what follows may be a piece of a name that has the end of a line in it. */
export interface LogMessage extends LogLine {
  readonly caller: LogCaller | null;
  /** All of it, without blanks at its ends; at most so long. Hostile. */
  readonly whole: string;
  /** Lines after the first. */
  readonly further: readonly string[];
  /** It begins with what a program calls itself. */
  readonly ofCommand: boolean;
  /** Of text: nothing of printk stands before it. */
  readonly bare: boolean;
}

/** More of a line says nothing that is looked for. */
const MOST_LINE = 1024;
const MOST_LINES = 64;

/** Lines of the kernel itself. */
export function* linesOf(records: Iterable<LogRecord | TextRecord>): Generator<LogLine> {
  for (const record of records) {
    if (!isOfKernel(record)) continue;
    const { seq, timestamp, text } = record;
    const wall = 'bare' in record ? wallTime(record) : {};
    for (const line of text.split('\n')) yield { seq, timestamp, ...wall, text: cut(line) };
  }
}

/** A message of the kernel itself; undefined: a program wrote it. */
export function messageOf(record: LogRecord | TextRecord): LogMessage | undefined {
  if (!isOfKernel(record)) return undefined;
  const { seq, timestamp, caller } = record;
  const whole = cut(record.text.trimStart());
  const [first = '', ...further] = whole.includes('\n') ? whole.split('\n', MOST_LINES) : [whole];
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
  };
}

function wallTime({ printedTime }: TextRecord): { printedTime?: string } {
  return printedTime === '' ? {} : { printedTime };
}

function cut(line: string): string {
  return line.slice(0, MOST_LINE).trim();
}

/**
 * What the groups of an expression hold in a message: in its first line, or in all of it, since a name may have
 * the end of a line in it.
 */
export function groupsIn(
  { text, whole }: Pick<LogMessage, 'text' | 'whole'>,
  pattern: RegExp,
): Readonly<Record<string, string | undefined>> | undefined {
  const found = pattern.exec(text) ?? (whole === text ? null : pattern.exec(whole));
  return found === null ? undefined : (found.groups ?? {});
}

export function evidenceOf({ seq, timestamp, printedTime, text }: LogLine): LogEvidence {
  return {
    kind: 'log',
    seq,
    timestamp,
    ...(printedTime === undefined ? {} : { printedTime }),
    text,
  };
}
