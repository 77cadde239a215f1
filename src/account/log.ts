import type { Captured } from '../contracts/common.js';
import type { LogRest } from '../contracts/log.js';
import { kernelIdentity } from '../kernel/identity.js';
import type { Kernel } from '../kernel/kernel.js';
import type { CapturedLogRest, LogRecord, TextRecord } from '../records/log-records.js';
import { readLog } from '../walk/log/log.js';
import { fieldsOf } from '../walk/machine/fields.js';
import { type Warning, Warnings } from '../walk/warnings.js';

/** Message filter. A field that a message lacks (null) excludes no message. */
export interface LogChoice {
  readonly levels?: ReadonlySet<number> | undefined;
  readonly facilities?: ReadonlySet<number> | undefined;
  readonly since?: LogMoment | undefined;
  readonly until?: LogMoment | undefined;
}

/** A point in time on the log's clock, in nanoseconds: since boot, or before the newest message. */
export interface LogMoment {
  readonly nanoseconds: bigint;
  readonly from: 'boot' | 'end';
}

/** Facts about a kernel's own log besides the selected messages. */
export type KernelLogRest = LogRest & { readonly overwritten: number; readonly noRoom: number };

export interface LogAnswer extends KernelLogRest {
  readonly records: readonly LogRecord[];
}

/** Yields the selected messages, oldest first. @throws as readLog does */
export function* eachMessage(kernel: Kernel, choice: LogChoice): Generator<LogRecord, KernelLogRest> {
  const warnings = new Warnings(kernel.doubts);
  const log = readLog(kernel, fieldsOf(kernel), warnings);
  const { rest, omitted, first } = yield* chosenMessages(log, choice);
  return {
    source: 'kernel',
    kernel: kernelIdentity(kernel.facts),
    captured: null,
    logs: [],
    omitted,
    overwritten: Math.max(rest.overwritten, first ?? 0),
    noRoom: rest.noRoom,
    complete: warnings.complete,
    warnings: warnings.list(),
  };
}

/** Yields the selected messages of a log. */
export function* chosenMessages<Message extends LogRecord | TextRecord, Rest>(
  log: Generator<Message, Rest>,
  choice: LogChoice,
): Generator<Message, ChosenRest<Rest>> {
  // A time relative to the newest message requires reading the complete log first.
  const relative = [choice.since, choice.until].some((moment) => moment?.from === 'end');
  const held = relative ? bufferLog(log) : undefined;
  const end = held?.end ?? 0n;
  const meant = chosenBy(choice, end);
  const left = held?.log ?? log;
  let omitted = 0;
  let first: number | undefined;
  let isTimed = false;
  for (;;) {
    const { done, value } = left.next();
    if (done) return { rest: value, omitted, first, isTimed };
    first ??= value.seq;
    isTimed ||= value.timestamp !== null;
    if (meant(value)) yield value;
    else omitted++;
  }
}

interface ChosenRest<Rest> {
  /** Result of reading the log. */
  readonly rest: Rest;
  readonly omitted: number;
  /** Sequence number of the first message. */
  readonly first: number | undefined;
  /** Whether a message has the kernel's time. */
  readonly isTimed: boolean;
}

/** Returns the selected messages at once. @throws as readLog does */
export function messages(kernel: Kernel, choice: LogChoice): LogAnswer {
  const records: LogRecord[] = [];
  const messages = eachMessage(kernel, choice);
  for (;;) {
    const { done, value } = messages.next();
    if (done) return { ...value, records };
    records.push(value);
  }
}

/** Reads a log to its end; returns a generator that replays it from the start. */
function bufferLog<Message extends LogRecord | TextRecord, Rest>(
  log: Generator<Message, Rest>,
): { readonly end: bigint; readonly log: Generator<Message, Rest> } {
  const records: Message[] = [];
  let end = 0n;
  for (;;) {
    const { done, value } = log.next();
    if (done) {
      const again = (function* () {
        yield* records;
        return value;
      })();
      return { end, log: again };
    }
    records.push(value);
    if (value.timestamp !== null && value.timestamp > end) end = value.timestamp;
  }
}

/**
 * Returns a message filter.
 *
 * @param end time of the newest message
 */
export function chosenBy(
  { levels, facilities, ...times }: LogChoice,
  end: bigint,
): (record: LogRecord | TextRecord) => boolean {
  const [since, until] = [moment(times.since, end), moment(times.until, end)];
  return ({ level, facility, timestamp }) => {
    if (levels && level !== null && !levels.has(level)) return false;
    if (facilities && facility !== null && !facilities.has(facility)) return false;
    if (timestamp === null) return true;
    return (since === undefined || timestamp >= since) && (until === undefined || timestamp <= until);
  };
}

function moment(requested: LogMoment | undefined, end: bigint): bigint | undefined {
  if (requested === undefined) return undefined;
  return requested.from === 'boot' ? requested.nanoseconds : end - requested.nanoseconds;
}

/** Warning about a selection by time that had no effect. */
export const UNTIMED = 'no kernel timestamps, so --since and --until were ignored';

/** A captured log. */
export interface CapturedLog {
  readonly captured: Captured | null;
  readonly log: Generator<LogRecord | TextRecord, CapturedLogRest>;
  /** Whether its end is missing. */
  readonly cut: boolean;
  /** Reasons why messages may be missing in the capture. */
  readonly warnings: readonly Warning[];
}

/** Yields the selected messages of a captured log, oldest first. */
export function* eachCaptured(
  { captured, log, cut, warnings: damage }: CapturedLog,
  choice: LogChoice,
): Generator<LogRecord | TextRecord, LogRest> {
  const warnings = new Warnings();
  for (const { code, message } of damage) warnings.add(code, message);
  const { rest, omitted, first, isTimed } = yield* chosenMessages(log, choice);
  const { overwritten, missing, foreign, doubts } = rest;
  const say = (message: string): void => warnings.add('unreadable', message);
  if (first === undefined) say('the captured log contains no messages');
  else if (overwritten === null) say('the log was captured with dmesg: older messages may have been overwritten');
  for (const doubt of doubts) say(doubt);
  if (first !== undefined && !isTimed && (choice.since || choice.until)) say(UNTIMED);
  if (missing > 0) say(`${missing} messages in the middle are missing`);
  if (foreign > 0) say(`${foreign} lines of the captured log are malformed or out of order`);
  if (cut) say('the captured log is truncated: the newest messages are missing');
  const list = warnings.list();
  return {
    source: 'capture',
    kernel: null,
    captured,
    logs: [],
    omitted,
    overwritten,
    noRoom: null,
    complete: list.length === 0,
    warnings: list,
  };
}
