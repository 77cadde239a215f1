import type { LogRecord, TextRecord } from '../../records/log-records.js';

/** Messages before and after each given one. */
const BEFORE = 15;
const AFTER = 15;

/** A message near an event. */
export interface NearMessage {
  readonly record: LogRecord | TextRecord;
  /** It is one of the given messages. */
  readonly asked: boolean;
  /** Others stand between it and the one before. */
  readonly gap: boolean;
}

/** Messages around some of them, in their order, each once. @param seqs of the given messages */
export function messagesAround(
  records: readonly (LogRecord | TextRecord)[],
  seqs: ReadonlySet<number>,
): NearMessage[] {
  const near = new Set<number>();
  for (const [index, { seq }] of records.entries()) {
    if (!seqs.has(seq)) continue;
    const last = Math.min(records.length - 1, index + AFTER);
    for (let at = Math.max(0, index - BEFORE); at <= last; at++) near.add(at);
  }
  const order = [...near].sort((a, b) => a - b);
  return order.map((at, place) => {
    const record = records[at]!;
    return { record, asked: seqs.has(record.seq), gap: place > 0 && order[place - 1] !== at - 1 };
  });
}
