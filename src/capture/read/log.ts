import { unescapeBytes } from '../../log/prefix.js';
import type { LogRecord } from '../../records/log-records.js';
import { linesOf } from './lines.js';

/** Records are a line each: of a log of 48 MB no more are taken. */
const MOST_RECORDS = 2_000_000;

/** What a captured log tells besides its messages. */
export interface CapturedLogRest {
  /** Messages before the first that newer ones have overwritten; null: `dmesg` does not tell. */
  readonly overwritten: number | null;
  /** Messages between others that are not there. */
  readonly missing: number;
  /** Lines that are no message. */
  readonly foreign: number;
}

/** `PRIORITY,SEQ,MICROSECONDS,FLAGS[,caller=T1];TEXT` (Documentation/ABI/testing/dev-kmsg). */
const OF_KMSG = /^(\d{1,10}),(\d{1,15}),(\d{1,15}),([^;]{0,200});(.*)$/;

/** `<PRIORITY>[ SECONDS.MICROSECONDS][ CALLER] TEXT`, as `dmesg -r` prints it; a plain dmesg lacks the first. */
const OF_DMESG = /^(?:<(\d{1,10})>)?\[ *(\d{1,9})\.(\d{6})\](?:\[ *([TC])(\d{1,9})\])? ?(.*)$/;

/**
 * The kernel's log of a capture, as /dev/kmsg or dmesg told it, the oldest message first.
 *
 * @param text is hostile
 */
export function* capturedLog(text: string): Generator<LogRecord, CapturedLogRest> {
  let [next, missing, foreign, taken] = [0, 0, 0, 0];
  let first: number | null = null;
  let held: Held | undefined;
  for (const line of linesOf(text)) {
    const record = ofKmsg(line) ?? ofDmesg(line, taken);
    if (record) {
      if (held) yield finished(held);
      if (++taken > MOST_RECORDS) return { overwritten: first, missing, foreign: foreign + 1 };
      if (taken === 1) first = record.numbered ? record.seq : null;
      else if (record.seq < next) foreign++;
      else missing += record.seq - next;
      next = record.seq + 1;
      held = record;
    } else if (!(held && goesOn(held, line))) foreign++;
  }
  if (held) yield finished(held);
  return { overwritten: first, missing, foreign };
}

type Held = Omit<LogRecord, 'text'> & {
  /** By /dev/kmsg, which escapes what a line cannot hold. */
  readonly numbered: boolean;
  subsystem: string;
  device: string;
  text: string;
};

const UNKNOWN = { comm: '', subsystem: '', device: '' };

function ofKmsg(line: string): Held | undefined {
  const [, priority, seq, microseconds, flags = '', text = ''] = OF_KMSG.exec(line) ?? [];
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

function ofDmesg(line: string, seq: number): Held | undefined {
  const [, priority, seconds, microseconds, kind, id, text = ''] = OF_DMESG.exec(line) ?? [];
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

/** Eight levels of each facility (include/linux/kern_levels.h). */
function ofPriority(priority: string | undefined): Pick<LogRecord, 'level' | 'facility'> {
  if (priority === undefined) return { level: null, facility: null };
  const number = Number(priority);
  return { level: number % 8, facility: Math.floor(number / 8) % 256 };
}

function callerOf(kind: string | undefined, id: string | undefined): LogRecord['caller'] {
  return kind === undefined ? null : { kind: kind === 'C' ? 'cpu' : 'task', id: Number(id) };
}

/** A line that belongs to the message before: its device, or by dmesg more of its text. */
function goesOn(held: Held, line: string): boolean {
  if (!held.numbered) {
    held.text += `\n${line}`;
    return true;
  }
  const [, key, value = ''] = /^ ([A-Z]\w{0,40})=(.*)$/.exec(line) ?? [];
  if (key === 'SUBSYSTEM') held.subsystem = unescapeBytes(value);
  if (key === 'DEVICE') held.device = unescapeBytes(value);
  return key !== undefined;
}

function finished({ numbered, ...record }: Held): LogRecord {
  return numbered ? { ...record, text: unescapeBytes(record.text) } : record;
}
