import type { CapturedLogWhole } from '../../account/captured-log.js';
import type { LogAnswer, LogWhole } from '../../account/log.js';
import type { TextLogSummary } from '../../log/reader.js';
import type { LogRecord, TextRecord } from '../../records/log-records.js';
import type { LogTriage } from '../../triage/text.js';
import { FACILITIES, LEVELS } from '../../walk/log/words.js';
import type { Warning } from '../../walk/warnings.js';
import { capturedJson } from '../captured.js';
import { kernelJson } from '../kernel-json.js';
import type { LogEndJson, LogJson, LogMessageJson, TextLogJson } from './schema.js';

/** The newest boots are listed, up to this number. */
const MOST_BOOTS = 100;

/** What logs that are text hold besides the messages that were asked for. */
export interface TextLogWhole {
  readonly logs: readonly Pick<LogTriage, 'name' | 'files' | 'log'>[];
  readonly omitted: number;
  readonly complete: boolean;
  readonly warnings: readonly Warning[];
  /** Of a capture with further logs. */
  readonly captured?: CapturedLogWhole['captured'];
}

type Whole = LogWhole | CapturedLogWhole | TextLogWhole;

export function logJson({ records, ...whole }: LogAnswer): LogJson {
  return {
    schema: 'kdump-mem.log/1',
    messages: records.map((record) => messageJson(record)),
    ...wholeJson(whole),
  };
}

/** A line of `--ndjson`. @param log of which logs it is, where they are text */
export function messageLine(record: LogRecord | TextRecord, log?: string): LogMessageJson {
  return { schema: 'kdump-mem.log-message/1', ...messageJson(record, log) };
}

/** The last line of `--ndjson`. */
export function logEnd(whole: Whole, listed: number): LogEndJson {
  return { schema: 'kdump-mem.log-end/1', listed, ...wholeJson(whole) };
}

/** All of an answer but its messages. */
export function wholeJson(whole: Whole): Omit<LogJson, 'schema' | 'messages'> {
  const { omitted, complete, warnings } = whole;
  const isOfKernel = 'kernel' in whole;
  return {
    source: isOfKernel ? 'kernel' : 'captured' in whole ? 'capture' : 'text',
    kernel: isOfKernel ? kernelJson(whole.kernel) : null,
    captured: 'captured' in whole ? capturedJson(whole.captured) : null,
    logs: 'logs' in whole ? whole.logs.map(textLogJson) : [],
    omitted,
    overwritten: 'overwritten' in whole ? whole.overwritten : null,
    noRoom: isOfKernel ? whole.noRoom : null,
    complete,
    warnings: [...warnings],
  };
}

/** A message, as an element of `messages` and as a line. */
export function messageJson(
  record: LogRecord | TextRecord,
  log?: string,
): LogJson['messages'][number] {
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
    caller: caller && { ...caller },
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
  const { format = null, messages, lines, bytes, bootCount, boots } = log;
  return {
    name,
    files: [...files],
    format,
    messages,
    lines,
    bytes,
    bootCount,
    boots: boots
      .map(({ id: bootId = null, release = null, fromStart }, index) => ({
        boot: index + 1 - bootCount,
        bootId,
        release,
        fromStart,
      }))
      .slice(-MOST_BOOTS),
  };
}
