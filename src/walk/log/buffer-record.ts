import { damaged, KernelError, ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import { bytesOf } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { LogRecord } from '../../records/log-records.js';
import { readPartOf } from '../named-read.js';
import { decodeBytes } from '../struct-reader.js';
import { callerOf } from './record.js';
import { RECORD_ALIGNMENT, type RecordBuffer } from './record-buffer.js';

/** Position of a record, in bytes from the buffer's start; a `gap` is a range without valid records. */
export type Place =
  | { readonly kind: 'record'; readonly at: number; readonly end: number }
  | { readonly kind: 'gap'; readonly at: number; readonly error: KernelError | ReadError };

/** Bytes searched for the next record after an invalid one. */
const MAX_SEARCHED = 1 << 20;

/**
 * Returns the positions of all records, oldest first. Each record contains the position of the next one. If a
 * record is unreadable or inconsistent, the next one is at the first position from which consistent records
 * lead to the buffer's end.
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
      let part: Step | undefined;
      while (part === undefined && searched < MAX_SEARCHED && !isEnd(buffer, step)) {
        searched += RECORD_ALIGNMENT;
        step = onwards(buffer, step);
        if (leadsToEnd(kernel, buffer, step)) part = step;
      }
      if (part === undefined) return places;
    }
  }
  return places;
}

/** Reads the record at a position. @throws {KernelError} `damaged`, {@link ReadError} */
export function readRecord(kernel: Kernel, buffer: RecordBuffer, at: number): Omit<LogRecord, 'seq'> {
  const { header, view, textLength, dictLength, length } = readHeader(kernel, buffer, at);
  const from = buffer.address + BigInt(at + header);
  const rest = length - header;
  const bytes = bytesOf(readPartOf(kernel, 'the log', buffer.address, from, rest));
  if (bytes.subarray(textLength + dictLength).some((byte) => byte !== 0))
    throw damaged('padding of a log record is not zero');
  if (textLength > 0 && bytes[textLength - 1] === 0) throw damaged('text of a log record has padding at its end');
  // These two bytes follow the dictionary length in all kernels (struct printk_log): u8 facility; u8 flags:5,
  // level:3.
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
  /** Whether the walk has wrapped to the start of the buffer. */
  readonly wrapped: boolean;
}

function isEnd({ first, next }: RecordBuffer, { at, wrapped }: Step): boolean {
  // Records that reach the buffer's end continue at its start, which may be before the position of the oldest
  // one.
  return at === next && (wrapped || next >= first);
}

function stepOver(kernel: Kernel, buffer: RecordBuffer, { at, wrapped }: Step): Step & { readonly record?: Place } {
  const { size, header, first, next, address } = buffer;
  if (at > size - header) throw damaged(`log records lead to ${hex(at)}, beyond the log size of ${hex(size)} bytes`);
  const { length } = readHeader(kernel, buffer, at, true);
  if (length === 0) {
    if (wrapped || next > first) throw damaged('a log record is empty');
    const empty = bytesOf(readPartOf(kernel, 'the log', address, address + BigInt(at), header));
    if (empty.some((byte) => byte !== 0)) throw damaged('a log record is empty');
    // The record that was moved to the start did not fit here, in this buffer or in a smaller one at boot.
    const moved = readHeader(kernel, buffer, 0).length;
    if (at + moved + header <= 2 ** Math.ceil(Math.log2(at + header))) throw damaged('a log record is empty');
    return { at: 0, wrapped: true };
  }
  const end = at + length;
  const limit = wrapped || next > first ? next : size - header;
  if (end > limit) throw damaged(`a log record ends at ${hex(end)}, beyond the newest`);
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

/** @param mayWrap whether a record of length 0, which marks the wrap to the buffer's start, is valid */
function readHeader(kernel: Kernel, buffer: RecordBuffer, at: number, mayWrap = false) {
  const { address, header } = buffer;
  const view = readPartOf(kernel, 'the log', address, address + BigInt(at), header);
  const length = view.getUint16(buffer.length, true);
  const textLength = view.getUint16(buffer.textLength, true);
  const dictLength = view.getUint16(buffer.dictLength, true);
  const used = header + textLength + dictLength;
  const padded = Math.ceil(used / RECORD_ALIGNMENT) * RECORD_ALIGNMENT;
  if (length !== padded && !(mayWrap && length === 0))
    throw damaged(`a log record has a length of ${length} bytes, but contains ${used}`);
  return { header, view, length, textLength, dictLength };
}

/** Parses `SUBSYSTEM=pci\0DEVICE=+pci:0000:00:1f.2` (create_syslog_header, drivers/base/core.c). */
function readDictionary(bytes: Uint8Array): Pick<LogRecord, 'subsystem' | 'device'> {
  const dictionary = { subsystem: '', device: '' };
  if (bytes.length === 0) return dictionary;
  for (const entry of decodeBytes(bytes).split('\0')) {
    const equals = entry.indexOf('=');
    if (equals <= 0) throw damaged('dictionary of a log record is malformed');
    const key = entry.slice(0, equals);
    if (key === 'SUBSYSTEM') dictionary.subsystem = entry.slice(equals + 1);
    if (key === 'DEVICE') dictionary.device = entry.slice(equals + 1);
  }
  return dictionary;
}
