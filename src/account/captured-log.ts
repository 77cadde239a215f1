import type { CaptureOrigin } from '../records/capture-origin.js';
import type { LogRecord } from '../records/log-records.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import { chosenMessages, type LogChoice } from './log.js';

/** What a captured log tells besides its messages. */
export interface CapturedRest {
  readonly overwritten: number | null;
  readonly missing: number;
  readonly foreign: number;
}

/** A log as it was captured. */
export interface CapturedLog {
  readonly of: CaptureOrigin;
  readonly log: Generator<LogRecord, CapturedRest>;
  /** Its end was cut off. */
  readonly cut: boolean;
  /** What keeps the capture from proving that nothing is missing in it. */
  readonly warnings: readonly Warning[];
}

/** What a captured log holds besides the messages that were asked for. */
export interface CapturedLogWhole {
  readonly captured: CaptureOrigin;
  /** Messages that were left out, since others were asked for. */
  readonly omitted: number;
  /** Messages that newer ones had overwritten; null: not known. */
  readonly overwritten: number | null;
  readonly complete: boolean;
  readonly warnings: readonly Warning[];
}

/** The messages of a captured log that were asked for, the oldest first, one by one. */
export function* eachCaptured(
  { of, log, cut, warnings: damage }: CapturedLog,
  choice: LogChoice,
): Generator<LogRecord, CapturedLogWhole> {
  const warnings = new Warnings();
  for (const { code, message } of damage) warnings.add(code, message);
  const { rest, omitted, first } = yield* chosenMessages(log, choice);
  const { overwritten, missing, foreign } = rest;
  const say = (message: string): void => warnings.add('unreadable', message);
  if (first === undefined) say('the captured log contains no messages');
  else if (overwritten === null)
    say('the log was captured with dmesg: older messages may have been overwritten');
  if (missing > 0) say(`${missing} messages in the middle are missing`);
  if (foreign > 0) say(`${foreign} lines of the captured log are malformed or out of order`);
  if (cut) say('the captured log is truncated: the newest messages are missing');
  const list = warnings.list();
  return { captured: of, omitted, overwritten, complete: list.length === 0, warnings: list };
}
