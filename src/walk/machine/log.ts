import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { decodeBytes } from '../struct-reader.js';
import { needSymbol } from './cpus.js';
import type { Fields } from './fields.js';

/** A record of the kernel's log. */
export interface LogRecord {
  /** Nanoseconds on the kernel's own clock, which starts near 0 at boot. */
  readonly timestamp: bigint;
  /** One line, or several; hostile. */
  readonly text: string;
}

/** States of a descriptor, in the two highest bits of its state (kernel/printk/printk_ringbuffer.h). */
const COMMITTED = 1n;
const FINALIZED = 2n;
const ID_MASK = (1n << 62n) - 1n;
/** The buffer is at most 2 GiB, and a descriptor stands for 32 bytes of it or so. */
const MOST_COUNT_BITS = 26;
const MOST_SIZE_BITS = 31;
const MOST_TEXT = 65_536;

/**
 * The kernel's log from its newest record back (the printk ring buffer, since 5.10). Records that were
 * being written or that lost their text are left out.
 *
 * @throws {KernelError} `no-symbols` or `unsupported-layout` if the log is in another form, `damaged`
 * @throws {ReadError} where the log cannot be read
 */
export function* logBackwards(kernel: Kernel, fields: Fields): Generator<LogRecord> {
  const ring = openRing(kernel, fields);
  const { descriptors, infos, countBits, tail } = ring;
  const mask = (1n << BigInt(countBits)) - 1n;
  let left = 2 ** countBits;
  for (let id = ring.head; left > 0; id = (id - 1n) & ID_MASK, left--) {
    const index = id & mask;
    const size = ring.descriptorSize;
    const at = descriptors + index * BigInt(size);
    const descriptor = readPartOf(kernel, 'struct prb_desc', at, at, size);
    const state = descriptor.getBigUint64(ring.state, true);
    const kind = state >> 62n;
    if ((state & ID_MASK) === id && (kind === COMMITTED || kind === FINALIZED)) {
      const from = infos + index * BigInt(ring.infoSize);
      const info = readPartOf(kernel, 'struct printk_info', from, from, ring.infoSize);
      const text = readText(kernel, ring, descriptor, info, id);
      if (text !== undefined) {
        yield { timestamp: info.getBigUint64(ring.timestamp, true), text };
      }
    }
    if (id === tail) return;
  }
}

interface Ring {
  readonly countBits: number;
  readonly descriptors: bigint;
  readonly infos: bigint;
  readonly head: bigint;
  readonly tail: bigint;
  readonly data: bigint;
  readonly dataSize: bigint;
  readonly descriptorSize: number;
  readonly state: number;
  readonly begin: number;
  readonly next: number;
  readonly infoSize: number;
  readonly timestamp: number;
  readonly textLength: number;
}

function openRing(kernel: Kernel, fields: Fields): Ring {
  const at = (address: bigint, struct: string, member: string): bigint =>
    address + BigInt(fields.offset(struct, member));
  const variable = needSymbol(kernel, 'prb');
  const buffer = pointerPartOf(kernel, 'prb', variable, variable);
  const pointer = (address: bigint): bigint =>
    pointerPartOf(kernel, 'struct printk_ringbuffer', buffer, address);
  const descs = at(buffer, 'printk_ringbuffer', 'desc_ring');
  const texts = at(buffer, 'printk_ringbuffer', 'text_data_ring');
  const bits = (address: bigint): number =>
    readPartOf(kernel, 'struct printk_ringbuffer', buffer, address, 4).getUint32(0, true);
  const countBits = bits(at(descs, 'prb_desc_ring', 'count_bits'));
  const sizeBits = bits(at(texts, 'prb_data_ring', 'size_bits'));
  if (countBits === 0 || countBits > MOST_COUNT_BITS || sizeBits > MOST_SIZE_BITS)
    throw new KernelError('damaged', `the log claims 2^${countBits} records, 2^${sizeBits} bytes`);
  const block = fields.offset('prb_desc', 'text_blk_lpos');
  return {
    countBits,
    descriptors: pointer(at(descs, 'prb_desc_ring', 'descs')),
    infos: pointer(at(descs, 'prb_desc_ring', 'infos')),
    head: pointer(at(descs, 'prb_desc_ring', 'head_id')) & ID_MASK,
    tail: pointer(at(descs, 'prb_desc_ring', 'tail_id')) & ID_MASK,
    data: pointer(at(texts, 'prb_data_ring', 'data')),
    dataSize: 1n << BigInt(sizeBits),
    descriptorSize: fields.size('prb_desc'),
    state: fields.offset('prb_desc', 'state_var'),
    begin: block + fields.offset('prb_data_blk_lpos', 'begin'),
    next: block + fields.offset('prb_data_blk_lpos', 'next'),
    infoSize: fields.size('printk_info'),
    timestamp: fields.offset('printk_info', 'ts_nsec'),
    textLength: fields.offset('printk_info', 'text_len'),
  };
}

/** A block of text begins with the id of its descriptor; one that wraps lies at the ring's start. */
function readText(
  kernel: Kernel,
  ring: Ring,
  descriptor: DataView,
  info: DataView,
  id: bigint,
): string | undefined {
  const begin = descriptor.getBigUint64(ring.begin, true);
  const next = descriptor.getBigUint64(ring.next, true);
  // Positions are aligned: an odd one marks a record without text (FAILED_LPOS, EMPTY_LINE_LPOS).
  if ((begin & 1n) !== 0n || (next & 1n) !== 0n) return next === 3n ? '' : undefined;
  const { dataSize } = ring;
  const end = ((next - 1n) & (dataSize - 1n)) + 1n;
  const wraps = begin / dataSize !== (next - 1n) / dataSize;
  const start = wraps ? 0n : begin & (dataSize - 1n);
  const room = end - start - 8n;
  if (room < 0n) return undefined;
  const from = ring.data + start;
  const block = pointerPartOf(kernel, 'the log', ring.data, from);
  if ((block & ID_MASK) !== id) return undefined;
  const wanted = Math.min(info.getUint16(ring.textLength, true), MOST_TEXT);
  const length = room < BigInt(wanted) ? Number(room) : wanted;
  if (length === 0) return '';
  const view = readPartOf(kernel, 'the log', ring.data, from + 8n, length);
  return decodeBytes(new Uint8Array(view.buffer, view.byteOffset, length));
}
