import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import { bytesOf } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { LogRecord } from '../../records/log-records.js';
import { incompleteness } from '../incompleteness.js';
import { cpuMask, perCpuAddress } from '../machine/cpus.js';
import type { Fields } from '../machine/fields.js';
import { readPartOf } from '../named-read.js';
import { decodeBytes, StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { readRecord, recordPlaces } from './buffer-record.js';
import { openRecordBuffer, type RecordBuffer, symbolOf } from './record-buffer.js';
import type { TimeOrder } from './time-order.js';
import { typeOf } from './type-of.js';

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
      warnings.add(code, `kernel log, before message ${seqs[index]}: ${message}`);
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
  if (!live) notePending(kernel, warnings);
  return rest;
}

/** Where a CPU put messages that it could not add to the log: from an NMI, or amid printk itself (4.10 to 5.14). */
const BUFFERS = ['nmi_print_seq', 'safe_print_seq'] as const;

/** Messages that were on their way to the log are not in it: a line without its end, and those of {@link BUFFERS}. */
export function notePending(kernel: Kernel, warnings: Warnings): void {
  try {
    const part = symbolOf(kernel, 'cont');
    if (part !== undefined && typeOf(kernel, 'cont')?.member('buf')) {
      const bytes = new StructReader(kernel, 'cont', ['len']).read(part).number('len');
      const text = pendingText(kernel, 'cont', 'buf', part, bytes);
      if (bytes > 0)
        warnings.add(
          'torn-list',
          `an incomplete message of ${bytes} bytes was not yet in the log${text}`,
        );
    }
    if (!typeOf(kernel, 'printk_safe_seq_buf')) return;
    const reader = new StructReader(kernel, 'printk_safe_seq_buf', ['len', 'message_lost']);
    for (const name of BUFFERS) {
      const template = symbolOf(kernel, name);
      if (template === undefined) continue;
      for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
        const at = perCpuAddress(kernel, template, cpu);
        const view = reader.read(at);
        const [bytes, lost] = [view.number('len'), view.number('message_lost')];
        if (bytes === 0 && lost === 0) continue;
        const text = pendingText(kernel, 'printk_safe_seq_buf', 'buffer', at, bytes);
        const message = `CPU ${cpu} had ${bytes} bytes of messages (${name}) that were not yet in the log, and lost ${lost} messages${text}`;
        warnings.add('torn-list', message);
      }
    }
  } catch (error) {
    const unknown = error instanceof KernelError && error.code !== 'damaged';
    const code = unknown ? 'unsupported-layout' : incompleteness(error);
    const { message } = error as Error;
    warnings.add(code, `messages that were not yet in the log: ${message}`);
  }
}

/** Of a long text the end is shown: the kernel had come so far. */
const MOST_SHOWN = 4096;

/**
 * The text of such messages, as part of a sentence; '' where the types do not tell where it lies.
 *
 * @throws {KernelError} `damaged` where it is longer than its buffer; {@link ReadError}
 */
function pendingText(
  kernel: Kernel,
  struct: string,
  member: string,
  at: bigint,
  bytes: number,
): string {
  const buffer = typeOf(kernel, struct)?.member(member);
  if (!buffer || bytes === 0) return '';
  if (bytes > buffer.size) {
    const message = `${struct} at ${hex(at)} has ${bytes} bytes in a buffer of ${buffer.size}`;
    throw new KernelError('damaged', message);
  }
  const length = Math.min(bytes, MOST_SHOWN);
  const from = at + BigInt(buffer.offset + bytes - length);
  const view = readPartOf(kernel, `struct ${struct}`, at, from, length);
  // printk puts a level before each: KERN_SOH and a character (include/linux/kern_levels.h).
  const [first, ...others] = decodeBytes(bytesOf(view)).split('\x01');
  const lines = [first, ...others.map((one) => one.slice(1))].join('').trim();
  return `: ${JSON.stringify(lines)}${length < bytes ? ` (the last ${length} bytes)` : ''}`;
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
      'sequence numbers of messages are unknown (missing symbol): they are counted from 0',
    );
  const gap = places.findIndex(({ kind }) => kind === 'gap');
  const counted = places.filter(({ kind }) => kind === 'record').length;
  const first = firstSeq ?? 0;
  const next = nextSeq ?? first + counted;
  if (gap < 0 && first + counted !== next && !live)
    warnings.add(
      'corrupt',
      `kernel log has ${counted} messages, but its counters say ${next - first}`,
    );
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
