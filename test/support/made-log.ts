import { ReadError } from '../../src/base/errors.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { fieldsOf } from '../../src/walk/machine/fields.js';
import { partialKernel } from './made-kernel.js';

const ID_MASK = (1n << 62n) - 1n;

/** Offsets in VMCOREINFO of 6.1. */
const SAID: Readonly<Record<string, number>> = {
  'printk_ringbuffer.desc_ring': 0,
  'printk_ringbuffer.text_data_ring': 48,
  'prb_desc_ring.count_bits': 0,
  'prb_desc_ring.descs': 8,
  'prb_desc_ring.infos': 16,
  'prb_desc_ring.head_id': 24,
  'prb_desc_ring.tail_id': 32,
  prb_desc: 24,
  'prb_desc.state_var': 0,
  'prb_desc.text_blk_lpos': 8,
  'prb_data_blk_lpos.begin': 0,
  'prb_data_blk_lpos.next': 8,
  printk_info: 88,
  'printk_info.seq': 0,
  'printk_info.ts_nsec': 8,
  'printk_info.text_len': 16,
  'prb_data_ring.size_bits': 0,
  'prb_data_ring.data': 8,
};

export const LOG_BASE = 0xffffffff81000000n;
export const LOG_AT = { pointer: 0, ring: 64, panicCpu: 256, descs: 512, infos: 1024, data: 4096 };
const COUNT_BITS = 3;
const SIZE_BITS = 8;
export const LOG_BYTES = 1 << SIZE_BITS;

/** Position of each line in the ring: `start` is its offset; the others only grow. */
export function blocksOf(lines: readonly string[]) {
  const size = LOG_BYTES;
  let begin = 0;
  return lines.map((line) => {
    const block = 8 + Math.ceil(line.length / 8) * 8;
    const wraps = Math.floor(begin / size) !== Math.floor((begin + block - 1) / size);
    const data = wraps ? Math.ceil(begin / size) * size : begin;
    const placed = { line, begin, data, start: data % size, next: data + block };
    begin = placed.next;
    return placed;
  });
}

/** A kernel whose log contains these lines, written in the order of printk, which wraps in its small ring. */
export function kernelWithLog(lines: readonly string[], panicCpu = -1): Kernel {
  const bytes = new Uint8Array(8192);
  const view = new DataView(bytes.buffer);
  const word = (at: number, value: bigint): void => view.setBigUint64(at, value, true);
  word(LOG_AT.pointer, LOG_BASE + BigInt(LOG_AT.ring));
  view.setInt32(LOG_AT.panicCpu, panicCpu, true);
  view.setUint32(LOG_AT.ring, COUNT_BITS, true);
  word(LOG_AT.ring + 8, LOG_BASE + BigInt(LOG_AT.descs));
  word(LOG_AT.ring + 16, LOG_BASE + BigInt(LOG_AT.infos));
  view.setUint32(LOG_AT.ring + 48, SIZE_BITS, true);
  word(LOG_AT.ring + 56, LOG_BASE + BigInt(LOG_AT.data));
  const firstId = (1n << 62n) - 8n;
  blocksOf(lines).forEach(({ line, begin, start, next }, index) => {
    const id = (firstId + BigInt(index)) & ID_MASK;
    const slot = Number(id & 7n);
    word(LOG_AT.descs + slot * 24, (2n << 62n) | id);
    word(LOG_AT.descs + slot * 24 + 8, BigInt(begin));
    word(LOG_AT.descs + slot * 24 + 16, BigInt(next));
    word(LOG_AT.infos + slot * 88, BigInt(index));
    word(LOG_AT.infos + slot * 88 + 8, BigInt(index) * 1_000_000n);
    view.setUint16(LOG_AT.infos + slot * 88 + 16, line.length, true);
    word(LOG_AT.data + start, id);
    bytes.set(Buffer.from(line, 'latin1'), LOG_AT.data + start + 8);
  });
  const newest = firstId + BigInt(lines.length - 1);
  const oldest = firstId + BigInt(Math.max(0, lines.length - 8));
  word(LOG_AT.ring + 24, newest & ID_MASK);
  word(LOG_AT.ring + 32, oldest & ID_MASK);
  const symbols: Readonly<Record<string, number>> = { prb: LOG_AT.pointer, panic_cpu: LOG_AT.panicCpu };
  return partialKernel({
    read(address, length) {
      const offset = Number(address - LOG_BASE);
      if (!(offset >= 0 && offset + length <= bytes.length)) throw new ReadError('absent', address);
      return new DataView(bytes.buffer, offset, length);
    },
    symbol: (name) => (symbols[name] === undefined ? undefined : LOG_BASE + BigInt(symbols[name])),
  });
}

export const logFields = (kernel: Kernel) =>
  fieldsOf(kernel, { offset: (name) => SAID[name], size: (name) => SAID[name] });
