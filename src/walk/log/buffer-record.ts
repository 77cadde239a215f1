import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import { bytesOf } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { LogRecord } from '../../records/log-records.js';
import { readPartOf } from '../named-read.js';
import { decodeBytes } from '../struct-reader.js';
import { callerOf } from './record.js';
import { RECORD_ALIGNMENT, type RecordBuffer } from './record-buffer.js';

/** Where a record lies, in bytes from the buffer's start; a `gap` is what lies there in place of records. */
export type Place =
  | { readonly kind: 'record'; readonly at: number; readonly end: number }
  | { readonly kind: 'gap'; readonly at: number; readonly error: KernelError | ReadError };

/** What is looked through for the next record behind one that cannot be followed. Bytes. */
const MOST_SEARCHED = 1 << 20;

/**
 * The places of all records, the oldest first. Each says where the next one begins: where one cannot be
 * read or contradicts itself, the next is the first behind it from which records lead on to the buffer's
 * end, each fitting.
 */
export function recordPlaces(kernel: Kernel, buffer: RecordBuffer): Place[] {
  const places: Place[] = [];
  let step: Step = { at: buffer.first, wrapped: false };
  let searched = 0;
  while (!isEnd(buffer, step)) {
    try {
      const next = stepOver(kernel, buffer, step);
      if (next.record) places.push(next.record);
      step = next;
    } catch (error) {
      if (!(error instanceof KernelError || error instanceof ReadError)) throw error;
      places.push({ kind: 'gap', at: step.at, error });
      let found: Step | undefined;
      while (found === undefined && searched < MOST_SEARCHED && !isEnd(buffer, step)) {
        searched += RECORD_ALIGNMENT;
        step = onwards(buffer, step);
        if (leadsToEnd(kernel, buffer, step)) found = step;
      }
      if (found === undefined) return places;
    }
  }
  return places;
}

/** The record at a place. @throws {KernelError} `damaged`, {@link ReadError} */
export function readRecord(
  kernel: Kernel,
  buffer: RecordBuffer,
  at: number,
): Omit<LogRecord, 'seq'> {
  const { header, view, textLength, dictLength, length } = readHeader(kernel, buffer, at);
  const from = buffer.address + BigInt(at + header);
  const rest = length - header;
  const bytes = bytesOf(readPartOf(kernel, 'the log', buffer.address, from, rest));
  if (bytes.subarray(textLength + dictLength).some((byte) => byte !== 0))
    throw new KernelError('damaged', 'padding of a log record is not zero');
  if (textLength > 0 && bytes[textLength - 1] === 0)
    throw new KernelError('damaged', 'text of a log record has padding at its end');
  // Behind the length of the dictionary, in all kernels (struct printk_log): u8 facility; u8 flags:5, level:3.
  const facility = view.getUint8(buffer.dictLength + 2);
  const level = view.getUint8(buffer.dictLength + 3) >>> 5;
  return {
    timestamp: view.getBigUint64(buffer.timestamp, true),
    level,
    facility,
    comm: '',
    caller: buffer.caller === undefined ? null : callerOf(view.getUint32(buffer.caller, true)),
    ...readDictionary(bytes.subarray(textLength, textLength + dictLength)),
    text: decodeBytes(bytes.subarray(0, textLength)),
  };
}

interface Step {
  readonly at: number;
  /** The start of the buffer was passed. */
  readonly wrapped: boolean;
}

function isEnd({ first, next }: RecordBuffer, { at, wrapped }: Step): boolean {
  // Records that reached the buffer's end go on at its start, which may be before the oldest one's place.
  return at === next && (wrapped || next >= first);
}

function stepOver(
  kernel: Kernel,
  buffer: RecordBuffer,
  { at, wrapped }: Step,
): Step & { readonly record?: Place } {
  const { size, header, first, next, address } = buffer;
  if (at > size - header)
    throw new KernelError(
      'damaged',
      `log records lead to ${hex(at)}, beyond the log size of ${hex(size)} bytes`,
    );
  const { length } = readHeader(kernel, buffer, at, true);
  if (length === 0) {
    if (wrapped || next > first) throw new KernelError('damaged', 'a log record is empty');
    const empty = bytesOf(readPartOf(kernel, 'the log', address, address + BigInt(at), header));
    if (empty.some((byte) => byte !== 0)) throw new KernelError('damaged', 'a log record is empty');
    // The record that went to the start had no room here, in this buffer or in a smaller one at boot.
    const moved = readHeader(kernel, buffer, 0).length;
    if (at + moved + header <= 2 ** Math.ceil(Math.log2(at + header)))
      throw new KernelError('damaged', 'a log record is empty');
    return { at: 0, wrapped: true };
  }
  const end = at + length;
  const limit = wrapped || next > first ? next : size - header;
  if (end > limit)
    throw new KernelError('damaged', `a log record ends at ${hex(end)}, beyond the newest`);
  return { at: end, wrapped, record: { kind: 'record', at, end } };
}

function onwards({ size, header, first, next }: RecordBuffer, { at, wrapped }: Step): Step {
  const after = at + RECORD_ALIGNMENT;
  if (after <= size - header) return { at: after, wrapped };
  return next > first || wrapped ? { at: next, wrapped: true } : { at: 0, wrapped: true };
}

function leadsToEnd(kernel: Kernel, buffer: RecordBuffer, from: Step): boolean {
  try {
    for (let step = from; !isEnd(buffer, step); ) {
      const next = stepOver(kernel, buffer, step);
      if (next.record) readRecord(kernel, buffer, next.record.at);
      step = next;
    }
    return true;
  } catch (error) {
    if (error instanceof KernelError || error instanceof ReadError) return false;
    throw error;
  }
}

/** @param mayWrap a record without a length, which sends to the buffer's start, is none that contradicts itself */
function readHeader(kernel: Kernel, buffer: RecordBuffer, at: number, mayWrap = false) {
  const { address, header } = buffer;
  const view = readPartOf(kernel, 'the log', address, address + BigInt(at), header);
  const length = view.getUint16(buffer.length, true);
  const textLength = view.getUint16(buffer.textLength, true);
  const dictLength = view.getUint16(buffer.dictLength, true);
  const used = header + textLength + dictLength;
  const padded = Math.ceil(used / RECORD_ALIGNMENT) * RECORD_ALIGNMENT;
  if (length !== padded && !(mayWrap && length === 0))
    throw new KernelError(
      'damaged',
      `a log record has a length of ${length} bytes, but contains ${used}`,
    );
  return { header, view, length, textLength, dictLength };
}

/** `SUBSYSTEM=pci\0DEVICE=+pci:0000:00:1f.2` (create_syslog_header, drivers/base/core.c). */
function readDictionary(bytes: Uint8Array): Pick<LogRecord, 'subsystem' | 'device'> {
  const found = { subsystem: '', device: '' };
  if (bytes.length === 0) return found;
  for (const entry of decodeBytes(bytes).split('\0')) {
    const equals = entry.indexOf('=');
    if (equals <= 0) throw new KernelError('damaged', 'dictionary of a log record is malformed');
    const key = entry.slice(0, equals);
    if (key === 'SUBSYSTEM') found.subsystem = entry.slice(equals + 1);
    if (key === 'DEVICE') found.device = entry.slice(equals + 1);
  }
  return found;
}
