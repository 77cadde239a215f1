import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { LogRecord } from '../../log-records.js';
import { incompleteness } from '../incompleteness.js';
import type { Fields } from '../machine/fields.js';
import type { Warnings } from '../warnings.js';
import { readRecord, recordPlaces } from './buffer-record.js';
import { openRecordBuffer, type RecordBuffer } from './record-buffer.js';
import type { TimeOrder } from './time-order.js';

/** What the log has beside its messages. */
export interface LogRest {
  /** Messages whose text gave way to newer text; the oldest of them are gone altogether. */
  overwritten: number;
  /** Messages for which the kernel found no room when they came. */
  noRoom: number;
}

/** The log before the printk ring buffer, the oldest message first, as `readLog` gives it. */
export function* readRecords(
  kernel: Kernel,
  fields: Fields,
  warnings: Warnings,
  times: TimeOrder,
): Generator<LogRecord, LogRest> {
  const { live } = kernel.facts;
  let forget = kernel.noteReads();
  const buffer = openRecordBuffer(kernel, fields);
  const places = recordPlaces(kernel, buffer);
  const seqs = numbers(buffer, places, warnings, live);
  const rest: LogRest = { overwritten: 0, noRoom: 0 };
  for (const [index, place] of places.entries()) {
    if (place.kind === 'gap') {
      const { code, message } = whyNot(place.error);
      warnings.add(code, `of the log, before message ${seqs[index]}: ${message}`);
      continue;
    }
    const seq = seqs[index]!;
    let record: ReturnType<typeof readRecord> | undefined;
    let failure: unknown;
    try {
      record = readRecord(kernel, buffer, place.at);
    } catch (error) {
      failure = error;
    }
    if (live) {
      // What was read is that message only if the kernel had not come round to its place by then.
      forget();
      forget = kernel.noteReads();
      if ((openRecordBuffer(kernel, fields).firstSeq ?? seq) > seq) {
        rest.overwritten++;
        continue;
      }
    }
    if (record === undefined) {
      const { code, message } = whyNot(failure);
      warnings.add(code, `message ${seq} of the log: ${message}`);
      continue;
    }
    times.add(`message ${seq} of the log`, record.timestamp);
    yield { seq, ...record };
  }
  return rest;
}

/** The same from the newest back, as `logBackwards` gives it. */
export function* recordsBackwards(
  kernel: Kernel,
  fields: Fields,
): Generator<Omit<LogRecord, 'seq'>> {
  const buffer = openRecordBuffer(kernel, fields);
  for (const place of recordPlaces(kernel, buffer).reverse()) {
    if (place.kind === 'gap') continue;
    try {
      yield readRecord(kernel, buffer, place.at);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
}

/**
 * Numbers of records since boot; of a gap, that of the record behind it. Before the first gap they are
 * counted from the oldest one, behind it back from the newest.
 */
function numbers(
  { firstSeq, nextSeq }: RecordBuffer,
  places: ReturnType<typeof recordPlaces>,
  warnings: Warnings,
  live: boolean,
): number[] {
  if (firstSeq === undefined || nextSeq === undefined)
    warnings.add(
      'unsupported-layout',
      'no symbol tells messages’ numbers: they are counted from 0',
    );
  const gap = places.findIndex(({ kind }) => kind === 'gap');
  const counted = places.filter(({ kind }) => kind === 'record').length;
  const first = firstSeq ?? 0;
  const next = nextSeq ?? first + counted;
  if (gap < 0 && first + counted !== next && !live)
    warnings.add('corrupt', `the log has ${counted} messages, and counts ${next - first}`);
  const seqs: number[] = [];
  let seq = next;
  for (let index = places.length - 1; index >= 0; index--) {
    if (places[index]!.kind === 'record') seq--;
    seqs[index] = gap < 0 || index < gap ? first + index : seq;
  }
  return seqs;
}

function whyNot(error: unknown): {
  readonly code: ReturnType<typeof incompleteness>;
  readonly message: string;
} {
  return { code: incompleteness(error), message: (error as Error).message };
}
