import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../machine/cpus.js';
import type { Fields } from '../machine/fields.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { typeOf } from './type-of.js';

/** The kernel takes no larger buffer (LOG_BUF_LEN_MAX). */
const MOST_BYTES = 2 ** 31;

/** Records are aligned like their header, which is packed where unaligned access is cheap (LOG_ALIGN). */
export const RECORD_ALIGNMENT = 4;

/**
 * The log before the printk ring buffer (before 5.10; EL8 before 8.6): records of a header, a text and
 * a dictionary, one behind the other (kernel/printk/printk.c). Offsets and sizes in bytes.
 */
export interface RecordBuffer {
  readonly address: bigint;
  readonly size: number;
  /** Where the oldest record begins, and where the next one will. */
  readonly first: number;
  readonly next: number;
  /** Their numbers since boot; undefined: no symbol tells where they are. */
  readonly firstSeq: number | undefined;
  readonly nextSeq: number | undefined;
  /** Of `struct printk_log`. */
  readonly header: number;
  readonly timestamp: number;
  readonly length: number;
  readonly textLength: number;
  readonly dictLength: number;
  /** CONFIG_PRINTK_CALLER (5.1). */
  readonly caller: number | undefined;
}

/** Whether the kernel's log has this form. */
export function hasRecordBuffer(kernel: Kernel): boolean {
  return symbolOf(kernel, 'prb') === undefined && symbolOf(kernel, 'log_first_idx') !== undefined;
}

/** Undefined also where the kernel's table of symbols is not there, and VMCOREINFO does not name it. */
export function symbolOf(kernel: Kernel, name: string): bigint | undefined {
  try {
    return kernel.symbol(name);
  } catch (error) {
    if (error instanceof KernelError && error.code === 'no-symbols') return undefined;
    throw error;
  }
}

/**
 * Finds the log's buffer. VMCOREINFO states all that this takes, except numbers of records.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}
 */
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
  if (size > MOST_BYTES || size < header || size % RECORD_ALIGNMENT !== 0)
    throw new KernelError('damaged', `kernel log has an invalid size (${size} bytes)`);
  for (const [name, index] of Object.entries({ log_first_idx: first, log_next_idx: next }))
    if (index > size - header || index % RECORD_ALIGNMENT !== 0)
      throw new KernelError(
        'damaged',
        `${name} is ${hex(index)}, beyond the log size of ${hex(size)} bytes`,
      );
  const { firstSeq = 0, nextSeq = firstSeq } = buffer;
  const empty = nextSeq === firstSeq && buffer.nextSeq !== undefined;
  if (nextSeq < firstSeq || nextSeq - firstSeq > size / header || (empty && first !== next))
    throw new KernelError(
      'damaged',
      `kernel log has an invalid message range (${firstSeq} to ${nextSeq})`,
    );
  return buffer;
}

/** VMCOREINFO states it where there is one; without types nothing else tells. */
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
