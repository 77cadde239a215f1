import { unescapeBytes } from '../../log/prefix.js';
import type { LogRecord } from '../../records/log-records.js';
import { linesOf } from './lines.js';

/** Maximum number of records, one per line: a log of 48 MB has no more. */
const MAX_RECORDS = 2_000_000;

/** Properties of a captured log besides its messages. */
export interface CapturedLogRest {
  /** Messages before the first one that were overwritten; null: unknown from `dmesg`. */
  readonly overwritten: number | null;
  /** Missing messages between others. */
  readonly missing: number;
  /** Lines that are not messages. */
  readonly foreign: number;
}

/** `PRIORITY,SEQ,MICROSECONDS,FLAGS[,caller=T1];TEXT` (Documentation/ABI/testing/dev-kmsg). */
const KMSG_LINE = /^(\d{1,10}),(\d{1,15}),(\d{1,15}),([^;]{0,200});(.*)$/;

/** `<PRIORITY>[ SECONDS.MICROSECONDS][ CALLER] TEXT`, as printed by `dmesg -r`; a plain dmesg lacks the first field. */
const DMESG_LINE = /^(?:<(\d{1,10})>)?\[ *(\d{1,9})\.(\d{6})\](?:\[ *([TC])(\d{1,9})\])? ?(.*)$/;

/**
 * Parses the kernel log of a capture, in the format of /dev/kmsg or dmesg, oldest message first.
 *
 * @param text is hostile
 */
export function* capturedLog(text: string): Generator<LogRecord, CapturedLogRest> {
  let [next, missing, foreign, used] = [0, 0, 0, 0];
  let first: number | null = null;
  let pending: PendingRecord | undefined;
  for (const line of linesOf(text)) {
    const record = parseKmsg(line) ?? parseDmesg(line, used);
    if (record) {
      if (pending) yield finished(pending);
      if (++used > MAX_RECORDS) return { overwritten: first, missing, foreign: foreign + 1 };
      if (used === 1) first = record.numbered ? record.seq : null;
      else if (record.seq < next) foreign++;
      else missing += record.seq - next;
      next = record.seq + 1;
      pending = record;
    } else if (!(pending && continues(pending, line))) foreign++;
  }
  if (pending) yield finished(pending);
  return { overwritten: first, missing, foreign };
}

type PendingRecord = Omit<LogRecord, 'text'> & {
  /** Whether the record is from /dev/kmsg, which escapes special characters. */
  readonly numbered: boolean;
  subsystem: string;
  device: string;
  text: string;
};

const UNKNOWN = { comm: '', subsystem: '', device: '' };

function parseKmsg(line: string): PendingRecord | undefined {
  const [, priority, seq, microseconds, flags = '', text = ''] = KMSG_LINE.exec(line) ?? [];
  if (priority === undefined) return undefined;
  const [, kind, id] = /(?:^|,)caller=([TC])(\d{1,9})(?:,|$)/.exec(flags) ?? [];
  return {
    seq: Number(seq),
    timestamp: BigInt(microseconds ?? 0) * 1000n,
    ...UNKNOWN,
    ...ofPriority(priority),
    caller: callerOf(kind, id),
    numbered: true,
    text,
  };
}

function parseDmesg(line: string, seq: number): PendingRecord | undefined {
  const [, priority, seconds, microseconds, kind, id, text = ''] = DMESG_LINE.exec(line) ?? [];
  if (seconds === undefined) return undefined;
  const time = BigInt(seconds) * 1_000_000n + BigInt(microseconds ?? 0);
  return {
    seq,
    timestamp: time * 1000n,
    ...UNKNOWN,
    ...ofPriority(priority),
    caller: callerOf(kind, id),
    numbered: false,
    text,
  };
}

/** Eight levels per facility (include/linux/kern_levels.h). */
function ofPriority(priority: string | undefined): Pick<LogRecord, 'level' | 'facility'> {
  if (priority === undefined) return { level: null, facility: null };
  const number = Number(priority);
  return { level: number % 8, facility: Math.floor(number / 8) % 256 };
}

function callerOf(kind: string | undefined, id: string | undefined): LogRecord['caller'] {
  return kind === undefined ? null : { kind: kind === 'C' ? 'cpu' : 'task', id: Number(id) };
}

/** Whether a line continues the previous message: its device, or in dmesg more of its text. */
function continues(pending: PendingRecord, line: string): boolean {
  if (!pending.numbered) {
    pending.text += `\n${line}`;
    return true;
  }
  const [, key, value = ''] = /^ ([A-Z]\w{0,40})=(.*)$/.exec(line) ?? [];
  if (key === 'SUBSYSTEM') pending.subsystem = unescapeBytes(value);
  if (key === 'DEVICE') pending.device = unescapeBytes(value);
  return key !== undefined;
}

function finished({ numbered, ...record }: PendingRecord): LogRecord {
  return numbered ? { ...record, text: unescapeBytes(record.text) } : record;
}
