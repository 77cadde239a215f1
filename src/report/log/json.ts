import type { LogAnswer, LogWhole } from '../../account/log.js';
import type { LogRecord } from '../../log-records.js';
import { FACILITIES, LEVELS } from '../../walk/log/words.js';
import { kernelJson } from '../kernel-json.js';
import type { LogEndJson, LogJson, LogMessageJson } from './schema.js';

export function logJson({ records, ...whole }: LogAnswer): LogJson {
  return { schema: 'kdump-mem.log/1', messages: records.map(messageJson), ...wholeJson(whole) };
}

/** A line of `--ndjson`. */
export function messageLine(record: LogRecord): LogMessageJson {
  return { schema: 'kdump-mem.log-message/1', ...messageJson(record) };
}

/** The last line of `--ndjson`. */
export function logEnd(whole: LogWhole, listed: number): LogEndJson {
  return { schema: 'kdump-mem.log-end/1', listed, ...wholeJson(whole) };
}

function wholeJson({ kernel, omitted, overwritten, noRoom, complete, warnings }: LogWhole) {
  const counts = { omitted, overwritten, noRoom };
  return { kernel: kernelJson(kernel), ...counts, complete, warnings: [...warnings] };
}

/** A message, as an element of `messages` and as a line. */
export function messageJson(record: LogRecord): LogJson['messages'][number] {
  const { seq, timestamp, level, facility, caller, comm, subsystem, device, text } = record;
  return {
    seq,
    timestampMicroseconds: Number(timestamp / 1000n),
    level,
    levelName: level === null ? null : (LEVELS[level] ?? null),
    facility,
    facilityName: facility === null ? null : (FACILITIES[facility] ?? null),
    caller: caller && { ...caller },
    comm: comm || null,
    subsystem: subsystem || null,
    device: device || null,
    text,
  };
}
