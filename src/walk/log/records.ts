import { damaged, KernelError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import { bytesOf } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { LogRecord } from '../../records/log-records.js';
import { cpuMask, perCpuAddress } from '../cpus.js';
import type { Fields } from '../machine/fields.js';
import { readPartOf } from '../named-read.js';
import { decodeBytes, StructReader } from '../struct-reader.js';
import { incompleteness, type Warnings } from '../warnings.js';
import { readRecord, recordPlaces } from './buffer-record.js';
import { infoReader, type TimeOrder } from './record.js';
import { hasRecordBuffer, openRecordBuffer, type RecordBuffer, symbolOf, typeOf } from './record-buffer.js';
import { ID_MASK, openRing, readSlot } from './slot.js';

/** Counts of messages that the log lost. */
export interface LostMessages {
  /** Messages whose text was overwritten by newer text; the oldest messages are gone completely. */
  overwritten: number;
  /** Messages that the kernel dropped because there was no room. */
  noRoom: number;
}

/** Yields the log before the printk ring buffer, oldest message first, for `readLog`. */
export function* readRecords(
  kernel: Kernel,
  fields: Fields,
  warnings: Warnings,
  times: TimeOrder,
): Generator<LogRecord, LostMessages> {
  const { live } = kernel.facts;
  let forget = kernel.noteReads();
  const buffer = openRecordBuffer(kernel, fields);
  const places = recordPlaces(kernel, buffer);
  const seqs = numbers(buffer, places, warnings, live);
  const rest: LostMessages = { overwritten: 0, noRoom: 0 };
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
      // The data belongs to that message only if the kernel had not wrapped around to its position by then.
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

/**
 * Per-CPU buffers for messages that could not be added to the log: from an NMI, or during printk itself (4.10
 * to 5.14).
 */
const BUFFERS = ['nmi_print_seq', 'safe_print_seq'] as const;

/** Warns about messages that had not reached the log: an incomplete line, and those in {@link BUFFERS}. */
export function notePending(kernel: Kernel, warnings: Warnings): void {
  try {
    const part = symbolOf(kernel, 'cont');
    if (part !== undefined && typeOf(kernel, 'cont')?.member('buf')) {
      const bytes = new StructReader(kernel, 'cont', ['len']).read(part).number('len');
      const text = pendingText(kernel, 'cont', 'buf', part, bytes);
      if (bytes > 0) warnings.add('torn-list', `an incomplete message of ${bytes} bytes was not yet in the log${text}`);
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

/** Maximum number of bytes shown: the end of a long text, which is the most recent part. */
const MAX_SHOWN = 4096;

/**
 * Returns the text of such messages, as part of a sentence; '' if the types lack its member.
 *
 * @throws {KernelError} `damaged` if it is longer than its buffer; {@link ReadError}
 */
function pendingText(kernel: Kernel, struct: string, member: string, at: bigint, bytes: number): string {
  const buffer = typeOf(kernel, struct)?.member(member);
  if (!buffer || bytes === 0) return '';
  if (bytes > buffer.size) {
    throw damaged(`${struct} at ${hex(at)} has ${bytes} bytes in a buffer of ${buffer.size}`);
  }
  const length = Math.min(bytes, MAX_SHOWN);
  const from = at + BigInt(buffer.offset + bytes - length);
  const view = readPartOf(kernel, `struct ${struct}`, at, from, length);
  // printk puts a level before each message: KERN_SOH and a character (include/linux/kern_levels.h).
  const [first, ...others] = decodeBytes(bytesOf(view)).split('\x01');
  const lines = [first, ...others.map((other) => other.slice(1))].join('').trim();
  return `: ${JSON.stringify(lines)}${length < bytes ? ` (the last ${length} bytes)` : ''}`;
}

/** The same from the newest record backwards, for `logBackwards`. */
function* recordsBackwards(kernel: Kernel, fields: Fields): Generator<Omit<LogRecord, 'seq'>> {
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
 * Returns the sequence numbers of records since boot; for a gap, that of the next record. Records before the
 * first gap are counted from the oldest one, and records after it backwards from the newest one.
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
    warnings.add('corrupt', `kernel log has ${counted} messages, but its counters say ${next - first}`);
  const seqs: number[] = [];
  let seq = next;
  for (let index = places.length - 1; index >= 0; index--) {
    if (places[index]!.kind === 'record') seq--;
    seqs[index] = gap < 0 || index < gap ? first + index : seq;
  }
  return seqs;
}

function whyNot(error: unknown): { readonly code: ReturnType<typeof incompleteness>; readonly message: string } {
  return { code: incompleteness(error), message: (error as Error).message };
}

/** A message of the kernel's log: time, text, facility and caller. */
export type LogLine = Pick<LogRecord, 'timestamp' | 'text' | 'facility' | 'caller'>;

/**
 * Yields the kernel's log backwards from its newest record, for searches. Incomplete records, records without
 * text and inconsistent ones are skipped: `readLog` reports them.
 *
 * @throws as openRing and openRecordBuffer do, and {@link ReadError} if the log cannot be read
 */
export function* logBackwards(kernel: Kernel, fields: Fields): Generator<LogLine> {
  if (hasRecordBuffer(kernel)) {
    yield* recordsBackwards(kernel, fields);
    return;
  }
  const ring = openRing(kernel, fields);
  const read = infoReader(kernel);
  let left = ring.count;
  for (let id = ring.head; left > 0n; id = (id - 1n) & ID_MASK, left--) {
    const slot = readSlot(kernel, ring, id);
    if (slot.kind === 'record') {
      const { facility, caller } = read(slot.info);
      const timestamp = slot.info.getBigUint64(ring.timestamp, true);
      yield { timestamp, text: slot.text, facility, caller };
    }
    if (id === ring.tail) return;
  }
}
