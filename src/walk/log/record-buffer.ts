import { damaged, KernelError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';
import { needSymbol } from '../cpus.js';
import type { Fields } from '../machine/fields.js';
import { pointerPartOf, readPartOf } from '../named-read.js';

/** Maximum size of the log buffer (LOG_BUF_LEN_MAX). */
const MAX_BYTES = 2 ** 31;

/** Alignment of records: that of their header, which is packed if unaligned access is cheap (LOG_ALIGN). */
export const RECORD_ALIGNMENT = 4;

/**
 * The log before the printk ring buffer (before 5.10; EL8 before 8.6): consecutive records with a header, a
 * text and a dictionary (kernel/printk/printk.c). Offsets and sizes are in bytes.
 */
export interface RecordBuffer {
  readonly address: bigint;
  readonly size: number;
  /** Offset of the oldest record, and of the next one to be written. */
  readonly first: number;
  readonly next: number;
  /** Sequence numbers since boot; undefined if the symbols are missing. */
  readonly firstSeq: number | undefined;
  readonly nextSeq: number | undefined;
  /** Size of `struct printk_log`, and the offsets of its members. */
  readonly header: number;
  readonly timestamp: number;
  readonly length: number;
  readonly textLength: number;
  readonly dictLength: number;
  /** Offset of the caller with CONFIG_PRINTK_CALLER (5.1); undefined without it. */
  readonly caller: number | undefined;
}

/** Whether the kernel's log has this form. */
export function hasRecordBuffer(kernel: Kernel): boolean {
  return symbolOf(kernel, 'prb') === undefined && symbolOf(kernel, 'log_first_idx') !== undefined;
}

/**
 * Address of a symbol; undefined also if there is no symbol table and VMCOREINFO does not contain the symbol.
 */
export function symbolOf(kernel: Kernel, name: string): bigint | undefined {
  try {
    return kernel.symbol(name);
  } catch (error) {
    if (error instanceof KernelError && error.code === 'no-symbols') return undefined;
    throw error;
  }
}

/** Opens the log buffer. VMCOREINFO contains everything required, except record numbers. */
export function openRecordBuffer(kernel: Kernel, fields: Fields): RecordBuffer {
  const word = (name: string): number => {
    const at = needSymbol(kernel, name);
    return readPartOf(kernel, name, at, at, 4).getUint32(0, true);
  };
  const seq = (name: string): number | undefined => {
    const at = symbolOf(kernel, name);
    return at === undefined ? undefined : Number(pointerPartOf(kernel, name, at, at));
  };
  const pointer = needSymbol(kernel, 'log_buf');
  const buffer = {
    address: pointerPartOf(kernel, 'log_buf', pointer, pointer),
    size: word('log_buf_len'),
    first: word('log_first_idx'),
    next: word('log_next_idx'),
    firstSeq: seq('log_first_seq'),
    nextSeq: seq('log_next_seq'),
    header: fields.size('printk_log'),
    timestamp: fields.offset('printk_log', 'ts_nsec'),
    length: fields.offset('printk_log', 'len'),
    textLength: fields.offset('printk_log', 'text_len'),
    dictLength: fields.offset('printk_log', 'dict_len'),
    caller: callerOffset(kernel, fields),
  };
  const { size, header, first, next } = buffer;
  if (size > MAX_BYTES || size < header || size % RECORD_ALIGNMENT !== 0)
    throw damaged(`kernel log has an invalid size (${size} bytes)`);
  for (const [name, index] of Object.entries({ log_first_idx: first, log_next_idx: next }))
    if (index > size - header || index % RECORD_ALIGNMENT !== 0)
      throw damaged(`${name} is ${hex(index)}, beyond the log size of ${hex(size)} bytes`);
  const { firstSeq = 0, nextSeq = firstSeq } = buffer;
  const empty = nextSeq === firstSeq && buffer.nextSeq !== undefined;
  if (nextSeq < firstSeq || nextSeq - firstSeq > size / header || (empty && first !== next))
    throw damaged(`kernel log has an invalid message range (${firstSeq} to ${nextSeq})`);
  return buffer;
}

/** Offset of the caller. VMCOREINFO contains it; without types there is no other source. */
function callerOffset(kernel: Kernel, fields: Fields): number | undefined {
  const named = typeOf(kernel, 'printk_log')?.member('caller_id')?.offset;
  if (named !== undefined) return named;
  try {
    return fields.offset('printk_log', 'caller_id');
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

/**
 * Layout of a struct of the log; undefined also if there are no types: VMCOREINFO contains most of the
 * layout.
 */
export function typeOf(kernel: Kernel, name: string): StructLayout | undefined {
  try {
    return kernel.struct(name);
  } catch (error) {
    if (error instanceof KernelError && error.code === 'no-types') return undefined;
    throw error;
  }
}
