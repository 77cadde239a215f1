import type { LogRecord } from '../../walk/log/record.js';
import type { LogEvidence } from '../finding.js';

/** One line of a message. */
export interface LogLine {
  readonly seq: number;
  readonly timestamp: bigint;
  /** Without blanks at its ends; at most so long. Hostile. */
  readonly text: string;
}

/** LOG_KERN (syslog.h). */
const KERN = 0;

/** More of a line says nothing that is looked for. */
const MOST_LINE = 1024;

/** Lines of the kernel itself: what programs write to /dev/kmsg never has its facility. */
export function* linesOf(records: Iterable<LogRecord>): Generator<LogLine> {
  for (const { seq, timestamp, facility, text } of records) {
    if (facility !== null && facility !== KERN) continue;
    for (const line of text.split('\n'))
      yield { seq, timestamp, text: line.slice(0, MOST_LINE).trim() };
  }
}

export function evidenceOf({ seq, timestamp, text }: LogLine): LogEvidence {
  return { kind: 'log', seq, timestamp, text };
}
