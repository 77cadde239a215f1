import type { NativeKernel } from '../kernel/native/parts.js';
import { hasRecordBuffer, openRecordBuffer } from '../walk/log/record-buffer.js';
import { notePending } from '../walk/log/records.js';
import { needSymbol } from '../walk/machine/cpus.js';
import { fieldsOf } from '../walk/machine/fields.js';
import { StructReader } from '../walk/struct-reader.js';
import { Warnings } from '../walk/warnings.js';
import type { Store } from './debuggers/store.js';

const RING_FIELDS = [
  'desc_ring.count_bits',
  'desc_ring.descs',
  'desc_ring.infos',
  'text_data_ring.size_bits',
  'text_data_ring.data',
] as const;

/** 2^26 records and 2^31 bytes are the most that a kernel can be told to keep. */
const MOST_COUNT_BITS = 26;
const MOST_SIZE_BITS = 31;

/**
 * The kernel's log: the printk ring buffer, or the records before it. crash looks through it for a panic
 * when it starts, and stops where it finds no buffer at all: the buffer's shape is kept always, its
 * records and their text only where that is asked for.
 */
export function readLog(kernel: NativeKernel, store: Store, records: boolean): void {
  const step = kernel.facts.pageSize;
  for (const [at, length] of hasRecordBuffer(kernel) ? recordParts(kernel) : ringParts(kernel)) {
    for (let done = 0; done < length; done += step) {
      if (records) kernel.read(at + BigInt(done), Math.min(step, length - done));
      else store(at + BigInt(done));
    }
    if (!records) store(at + BigInt(length - 1));
  }
}

type Part = readonly [at: bigint, length: number];

function ringParts(kernel: NativeKernel): Part[] {
  const pointer = kernel.read(needSymbol(kernel, 'prb'), 8).getBigUint64(0, true);
  const reader = new StructReader(kernel, 'printk_ringbuffer', RING_FIELDS);
  kernel.read(pointer, reader.size);
  const ring = reader.read(pointer);
  const count = 2 ** Math.min(ring.number('desc_ring.count_bits'), MOST_COUNT_BITS);
  const bytes = 2 ** Math.min(ring.number('text_data_ring.size_bits'), MOST_SIZE_BITS);
  const sizeOf = (struct: string): number => kernel.struct(struct)?.size ?? 0;
  return [
    [ring.pointer('desc_ring.descs'), count * sizeOf('prb_desc')],
    [ring.pointer('desc_ring.infos'), count * sizeOf('printk_info')],
    [ring.pointer('text_data_ring.data'), bytes],
  ];
}

function recordParts(kernel: NativeKernel): Part[] {
  // What crash and makedumpfile ask for beside what this reads itself.
  kernel.read(needSymbol(kernel, 'clear_idx'), 4);
  notePending(kernel, new Warnings());
  const { address, size } = openRecordBuffer(kernel, fieldsOf(kernel));
  return [[address, size]];
}
