import type { LogAnswer } from '../../account/log.js';
import { escapeText } from '../../base/escape.js';
import { inflect } from '../../base/size.js';
import type { LogEndJson, LogJson, LogMessageJson, LogRest, TextLogJson } from '../../contracts/log.js';
import type { TextLogSummary } from '../../log/reader.js';
import { linesLike } from '../../log/words.js';
import type { LogRecord, TextRecord } from '../../records/log-records.js';
import { FACILITIES, LEVELS } from '../../walk/log/record.js';

/** Maximum number of boots that are listed, newest first. */
const MAX_BOOTS = 100;

export function logJson({ records, ...rest }: LogAnswer): LogJson {
  return { schema: 'kdump-mem.log/1', messages: records.map((record) => messageJson(record)), ...rest };
}

/** Returns a line of `--ndjson`. @param log the text log that contains it */
export function messageLine(record: LogRecord | TextRecord, log?: string): LogMessageJson {
  return { schema: 'kdump-mem.log-message/1', ...messageJson(record, log) };
}

/** Returns the last line of `--ndjson`. */
export function logEnd(rest: LogRest, listed: number): LogEndJson {
  return { schema: 'kdump-mem.log-end/1', listed, ...rest };
}

/** Returns a message, as an element of `messages` and as a line. */
export function messageJson(record: LogRecord | TextRecord, log?: string): LogJson['messages'][number] {
  const { seq, timestamp, level, facility, caller, comm, subsystem, device, text } = record;
  const ofText = 'boot' in record ? record : undefined;
  return {
    seq,
    timestampMicroseconds: timestamp === null ? null : Number(timestamp / 1000n),
    printedTime: ofText?.printedTime || null,
    log: log ?? null,
    bootNumber: ofText?.boot ?? null,
    bootId: ofText?.bootId || null,
    level,
    levelName: level === null ? null : (LEVELS[level] ?? null),
    facility,
    facilityName: facility === null ? null : (FACILITIES[facility] ?? null),
    caller,
    comm: comm || null,
    subsystem: subsystem || null,
    device: device || null,
    text,
  };
}

export function textLogJson({
  name,
  files,
  log,
}: {
  readonly name: string;
  readonly files: readonly string[];
  readonly log: TextLogSummary;
}): TextLogJson {
  const { format = null, messages, lines, bytes, unknownLines, bootCount, boots } = log;
  return {
    name,
    files,
    format,
    messages,
    lines,
    bytes,
    unknownLines,
    bootCount,
    boots: boots
      .map(({ id: bootId = null, release = null, fromStart }, index) => ({
        boot: index + 1 - bootCount,
        bootId,
        release,
        fromStart,
      }))
      .slice(-MAX_BOOTS),
  };
}

export interface LogTextOptions {
  /** Prefix lines with facility and level, as `dmesg --decode` does. */
  readonly decode?: boolean | undefined;
  /** Print callers, as kernels with CONFIG_PRINTK_CALLER do. */
  readonly callers?: boolean | undefined;
}

/** Formats a message as dmesg and the console do, with the time before each of its lines. */
export function messageText(record: LogRecord | TextRecord, { decode, callers }: LogTextOptions): string {
  const { timestamp, level, facility, caller, text } = record;
  const time = logTime(timestamp, 'printedTime' in record ? record.printedTime : '');
  const by = callers ? `[${callerText(caller).padStart(6)}]` : '';
  const kind = decode ? `${named(FACILITIES, facility)}:${named(LEVELS, level)}: ` : '';
  return text
    .split('\n')
    .map((line) => `${kind}${time}${by} ${escapeLine(line)}\n`)
    .join('');
}

/**
 * Returns the time of a message as dmesg prints it, from nanoseconds on the log's clock; otherwise as printed
 * in the text.
 */
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
 * Escapes control characters as `\xNN`, as dmesg does. Tabs and backslashes remain, since the kernel's own
 * messages contain them.
 */
export function escapeLine(line: string): string {
  return line
    .split(/([\t\\])/)
    .map((part) => (part === '\t' || part === '\\' ? part : escapeText(part)))
    .join('');
}

/** Returns `dmesg, 1,204 messages, from boot, Linux 6.12.0`. */
export function textLogWords({ format, messages, boots, bootCount, unknownLines }: TextLogSummary): string {
  const release = boots.at(-1)?.release;
  const count = messages.toLocaleString('en-US');
  const plural = inflect(messages, '', 's');
  const parts = [
    ...(format === undefined
      ? [
          `${count} line${plural} in an unknown log format${unknownLines === 0 ? '' : `: ${linesLike(unknownLines)}, others may continue them`}`,
        ]
      : [format, `${count} message${plural}`]),
    ...(boots[0]?.fromStart ? ['from boot'] : []),
    ...(bootCount > 1 ? [`${bootCount} boots`] : []),
    ...(release === undefined ? [] : [`Linux ${escapeText(release)}`]),
  ];
  return parts.join(', ');
}
