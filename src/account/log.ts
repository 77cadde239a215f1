import type { Kernel, KernelFacts } from '../kernel/kernel.js';
import type { LogRecord, TextRecord } from '../records/log-records.js';
import { readLog } from '../walk/log/log.js';
import { fieldsOf } from '../walk/machine/fields.js';
import { type Warning, Warnings } from '../walk/warnings.js';

/** Which messages are asked for. What a message does not tell (null) is never left out for it. */
export interface LogChoice {
  readonly levels?: ReadonlySet<number> | undefined;
  readonly facilities?: ReadonlySet<number> | undefined;
  readonly since?: LogMoment | undefined;
  readonly until?: LogMoment | undefined;
}

/** A moment on the log's clock, in nanoseconds: after boot, or before the newest message. */
export interface LogMoment {
  readonly nanoseconds: bigint;
  readonly from: 'boot' | 'end';
}

/** What the log holds besides the messages that were asked for. */
export interface LogWhole {
  readonly kernel: KernelFacts;
  /** Messages that were left out, since others were asked for. */
  readonly omitted: number;
  /** Messages that newer ones have overwritten; 0: all since boot are there. */
  readonly overwritten: number;
  /** Messages for which the kernel had no room when they came. */
  readonly noRoom: number;
  readonly complete: boolean;
  readonly warnings: readonly Warning[];
}

export interface LogAnswer extends LogWhole {
  readonly records: readonly LogRecord[];
}

/** The messages that were asked for, the oldest first, one by one. @throws as readLog does */
export function* eachMessage(kernel: Kernel, choice: LogChoice): Generator<LogRecord, LogWhole> {
  const warnings = new Warnings(kernel.doubts);
  const log = readLog(kernel, fieldsOf(kernel), warnings);
  const { rest, omitted, first } = yield* chosenMessages(log, choice);
  return {
    kernel: kernel.facts,
    omitted,
    noRoom: rest.noRoom,
    overwritten: Math.max(rest.overwritten, first ?? 0),
    complete: warnings.complete,
    warnings: warnings.list(),
  };
}

/** Those of a log that were asked for. */
export function* chosenMessages<Rest>(
  log: Generator<LogRecord, Rest>,
  choice: LogChoice,
): Generator<LogRecord, ChosenRest<Rest>> {
  // A moment before the end is known when the end is.
  const relative = [choice.since, choice.until].some((moment) => moment?.from === 'end');
  const held = relative ? hold(log) : undefined;
  const end = held?.end ?? 0n;
  const meant = chosenBy(choice, end);
  const left = held?.log ?? log;
  let omitted = 0;
  let first: number | undefined;
  for (;;) {
    const { done, value } = left.next();
    if (done) return { rest: value, omitted, first };
    first ??= value.seq;
    if (meant(value)) yield value;
    else omitted++;
  }
}

interface ChosenRest<Rest> {
  /** What the log returned. */
  readonly rest: Rest;
  readonly omitted: number;
  /** Number of its first message. */
  readonly first: number | undefined;
}

/** The same all at once. @throws as readLog does */
export function messages(kernel: Kernel, choice: LogChoice): LogAnswer {
  const records: LogRecord[] = [];
  const each = eachMessage(kernel, choice);
  for (;;) {
    const { done, value } = each.next();
    if (done) return { ...value, records };
    records.push(value);
  }
}

/** Reads a log to its end, and gives it again from its start. */
function hold<Rest>(log: Generator<LogRecord, Rest>): {
  readonly end: bigint;
  readonly log: Generator<LogRecord, Rest>;
} {
  const records: LogRecord[] = [];
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
    if (value.timestamp > end) end = value.timestamp;
  }
}

/**
 * What tells whether a message is asked for.
 *
 * @param end the time of the newest message
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
    return (
      (since === undefined || timestamp >= since) && (until === undefined || timestamp <= until)
    );
  };
}

function moment(asked: LogMoment | undefined, end: bigint): bigint | undefined {
  if (asked === undefined) return undefined;
  return asked.from === 'boot' ? asked.nanoseconds : end - asked.nanoseconds;
}
