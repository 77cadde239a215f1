import { TextLogReader } from '../../log/reader.js';
import { UNKNOWN_FORMAT } from '../../log/words.js';
import type { CapturedLogRest, LogRecord, TextRecord } from '../../records/log-records.js';

/** Maximum number of messages: a log of 48 MB has no more. */
const MAX_RECORDS = 2_000_000;
/** Number of bytes that are read at once. */
const PART = 1 << 20;

/**
 * Yields the messages of a capture's own log, oldest first: as /dev/kmsg prints them, or any dmesg.
 *
 * @param text is hostile
 */
export function* capturedLog(text: string): Generator<LogRecord | TextRecord, CapturedLogRest> {
  const lines: TextRecord[] = [];
  let tooMany = 0;
  const take = (line: TextRecord) => void (lines.length < MAX_RECORDS ? lines.push(line) : tooMany++);
  const reader = new TextLogReader({ take, isOpen: true, triggers: /^/ });
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += PART) reader.push(bytes.subarray(at, at + PART));
  const { format, unknownLines } = reader.end();
  if (format === undefined && unknownLines > 0) {
    yield* lines;
    return { overwritten: null, missing: 0, foreign: tooMany, doubts: [UNKNOWN_FORMAT] };
  }
  let [next, missing, foreign, used] = [0, 0, tooMany, 0];
  let first: number | undefined;
  let pending: TextRecord | undefined;
  for (const line of lines) {
    if (line.bare) {
      // More text of the message; /dev/kmsg escapes line feeds.
      if (pending && pending.number === undefined) pending = { ...pending, text: `${pending.text}\n${line.text}` };
      else foreign++;
      continue;
    }
    if (pending) yield recordOf(pending);
    const seq: number = line.number ?? used;
    first ??= line.number;
    if (used++ === 0) next = seq;
    if (seq < next) foreign++;
    else missing += seq - next;
    next = seq + 1;
    pending = { ...line, seq };
  }
  if (pending) yield recordOf(pending);
  return { overwritten: first ?? null, missing, foreign, doubts: [] };
}

/** A message with the kernel's time is like one of a dump. */
function recordOf(line: TextRecord): LogRecord | TextRecord {
  const { seq, timestamp, level, facility, caller, comm, subsystem, device, text } = line;
  return timestamp === null ? line : { seq, timestamp, level, facility, caller, comm, subsystem, device, text };
}
