import { ReadError } from '../../src/base/errors.js';
import { viewOf } from '../../src/kernel/bytes.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { partialKernel } from './made-kernel.js';

/** A message as a test passes it to printk. */
export interface MadeMessage {
  readonly text: string;
  /** `SUBSYSTEM=…\0DEVICE=…`. */
  readonly dict?: string;
  readonly level?: number;
  readonly facility?: number;
  readonly caller?: number;
  readonly flags?: number;
  readonly time?: bigint;
}

/** 4.14 and 4.18 have 16-byte headers; 5.1 and later may append the caller. */
export type RecordForm = 'plain' | 'with-caller';

export const HEADER_BYTES: Readonly<Record<RecordForm, number>> = { plain: 16, 'with-caller': 20 };

/**
 * `log_store`, `log_make_free_space` and `logbuf_has_space` of kernel/printk/printk.c (4.14 to 5.9),
 * statement by statement.
 */
export class RecordLog {
  readonly bytes: Uint8Array;
  readonly form: RecordForm;
  firstIdx = 0;
  nextIdx = 0;
  firstSeq = 0;
  nextSeq = 0;
  readonly #view: DataView;
  readonly #header: number;

  constructor(size: number, form: RecordForm = 'plain') {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
    this.form = form;
    this.#header = HEADER_BYTES[form];
  }

  store(message: MadeMessage): void {
    const text = Buffer.from(message.text, 'latin1');
    const dict = Buffer.from(message.dict ?? '', 'latin1');
    const used = this.#header + text.length + dict.length;
    const size = Math.ceil(used / 4) * 4;
    this.#makeSpace(size);
    if (this.nextIdx + size + this.#header > this.bytes.length) {
      this.bytes.fill(0, this.nextIdx, this.nextIdx + this.#header);
      this.nextIdx = 0;
    }
    const at = this.nextIdx;
    this.bytes.fill(0, at, at + size);
    this.bytes.set(text, at + this.#header);
    this.bytes.set(dict, at + this.#header + text.length);
    this.#view.setBigUint64(at, message.time ?? BigInt(this.nextSeq) * 1_000_000n, true);
    this.#view.setUint16(at + 8, size, true);
    this.#view.setUint16(at + 10, text.length, true);
    this.#view.setUint16(at + 12, dict.length, true);
    this.#view.setUint8(at + 14, message.facility ?? 0);
    this.#view.setUint8(at + 15, ((message.level ?? 6) << 5) | (message.flags ?? 2));
    if (this.form === 'with-caller') this.#view.setUint32(at + 16, message.caller ?? 0, true);
    this.nextIdx += size;
    this.nextSeq++;
  }

  #makeSpace(size: number): void {
    while (this.firstSeq < this.nextSeq && !this.#hasSpace(size, false)) {
      this.firstIdx = this.#after(this.firstIdx);
      this.firstSeq++;
    }
    if (!this.#hasSpace(size, this.firstSeq === this.nextSeq)) throw new Error('too long');
  }

  #hasSpace(size: number, empty: boolean): boolean {
    const { firstIdx, nextIdx, bytes } = this;
    const free = nextIdx > firstIdx || empty ? Math.max(bytes.length - nextIdx, firstIdx) : firstIdx - nextIdx;
    return free >= size + this.#header;
  }

  /** log_next() */
  #after(at: number): number {
    const length = this.#view.getUint16(at + 8, true);
    return length === 0 ? this.#view.getUint16(8, true) : at + length;
  }
}

export const RECORDS_BASE = 0xffffffff82000000n;
/** Addresses of the variables, 8 bytes each, followed by the buffer. */
export const RECORDS_AT = {
  log_buf: 0,
  log_buf_len: 8,
  log_first_idx: 16,
  log_next_idx: 24,
  log_first_seq: 32,
  log_next_seq: 40,
  panic_cpu: 48,
  buffer: 4096,
} as const;

/** The log's variables and its buffer, as in memory from `base` on. */
export function recordsMemory(log: RecordLog, base: bigint): { readonly base: bigint; readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(RECORDS_AT.buffer + log.bytes.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(RECORDS_AT.log_buf, base + BigInt(RECORDS_AT.buffer), true);
  view.setUint32(RECORDS_AT.log_buf_len, log.bytes.length, true);
  view.setUint32(RECORDS_AT.log_first_idx, log.firstIdx, true);
  view.setUint32(RECORDS_AT.log_next_idx, log.nextIdx, true);
  view.setBigUint64(RECORDS_AT.log_first_seq, BigInt(log.firstSeq), true);
  view.setBigUint64(RECORDS_AT.log_next_seq, BigInt(log.nextSeq), true);
  view.setInt32(RECORDS_AT.panic_cpu, -1, true);
  bytes.set(log.bytes, RECORDS_AT.buffer);
  return { base, bytes };
}

/** The VMCOREINFO entries of such a log (log_buf_vmcoreinfo_setup). */
export function statedOf(form: RecordForm) {
  const offsets: Readonly<Record<string, number>> = {
    'printk_log.ts_nsec': 0,
    'printk_log.len': 8,
    'printk_log.text_len': 10,
    'printk_log.dict_len': 12,
    ...(form === 'with-caller' ? { 'printk_log.caller_id': 16 } : {}),
  };
  return {
    offset: (name: string): number | undefined => offsets[name],
    size: (name: string): number | undefined => (name === 'printk_log' ? HEADER_BYTES[form] : undefined),
  };
}

/** A kernel with that log and without types, which its dump lacks. */
export function kernelWithRecords(log: RecordLog, { live = false, without = [] as readonly string[] } = {}): Kernel {
  const memory = (): DataView => viewOf(recordsMemory(log, RECORDS_BASE).bytes);
  const fixed = live ? undefined : memory();
  const symbols: Readonly<Record<string, number>> = RECORDS_AT;
  return partialKernel({
    facts: { release: '4.18.0-147.el8.x86_64', source: live ? 'kcore' : 'vmcore', live },
    read(address, length) {
      const { buffer, byteLength } = fixed ?? memory();
      const offset = Number(address - RECORDS_BASE);
      if (!(offset >= 0 && offset + length <= byteLength)) throw new ReadError('absent', address);
      return new DataView(buffer, offset, length);
    },
    symbol: (name) =>
      name === 'buffer' || symbols[name] === undefined || without.includes(name)
        ? undefined
        : RECORDS_BASE + BigInt(symbols[name]),
    stated: statedOf(log.form),
  });
}
