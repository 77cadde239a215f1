import type { TextLogSummary } from '../../log/reader.js';
import type { LogRecord, TextRecord } from '../../records/log-records.js';
import { FACILITIES, LEVELS } from '../../walk/log/words.js';
import { escapeText } from '../text/escape.js';

export interface LogTextOptions {
  /** Facility and level before each line, as `dmesg --decode` has them. */
  readonly decode?: boolean | undefined;
  /** Who called, as kernels print it that are built to (CONFIG_PRINTK_CALLER). */
  readonly callers?: boolean | undefined;
}

/** A message as dmesg and the console print it: each of its lines with the time before it. */
export function messageText(
  record: LogRecord | TextRecord,
  { decode, callers }: LogTextOptions,
): string {
  const { timestamp, level, facility, caller, text } = record;
  const time = logTime(timestamp, 'printedTime' in record ? record.printedTime : '');
  const by = callers ? `[${callerText(caller).padStart(6)}]` : '';
  const kind = decode ? `${named(FACILITIES, facility)}:${named(LEVELS, level)}: ` : '';
  return text
    .split('\n')
    .map((line) => `${kind}${time}${by} ${escapeLine(line)}\n`)
    .join('');
}

/** The time of a message as dmesg prints it, of nanoseconds on the log's clock; or as a text has it. */
export function logTime(timestamp: bigint | null, printed = ''): string {
  if (timestamp === null) return printed === '' ? '[           ?]' : `[${escapeText(printed)}]`;
  const microseconds = timestamp / 1000n;
  const seconds = String(microseconds / 1_000_000n).padStart(5);
  return `[${seconds}.${String(microseconds % 1_000_000n).padStart(6, '0')}]`;
}

function callerText(caller: LogRecord['caller']): string {
  return caller === null ? '?' : `${caller.kind === 'cpu' ? 'C' : 'T'}${caller.id}`;
}

function named(names: readonly string[], number: number | null): string {
  return (number === null ? '?' : (names[number] ?? String(number))).padEnd(6);
}

/**
 * What a terminal would obey comes out as `\xNN`, as in dmesg: which leaves tabs and backslashes, of
 * which the kernel's own messages have many, as they are.
 */
export function escapeLine(line: string): string {
  return line
    .split(/([\t\\])/)
    .map((part) => (part === '\t' || part === '\\' ? part : escapeText(part)))
    .join('');
}

/** `dmesg, 1,204 messages, from boot, Linux 6.12.0`. */
export function textLogWords({ format, messages, boots, bootCount }: TextLogSummary): string {
  const release = boots.at(-1)?.release;
  const parts = [
    format ?? 'text without timestamps',
    `${messages.toLocaleString('en-US')} ${messages === 1 ? 'message' : 'messages'}`,
    ...(boots[0]?.fromStart ? ['from boot'] : []),
    ...(bootCount > 1 ? [`${bootCount} boots`] : []),
    ...(release === undefined ? [] : [`Linux ${escapeText(release)}`]),
  ];
  return parts.join(', ');
}
