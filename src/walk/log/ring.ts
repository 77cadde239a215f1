import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../machine/cpus.js';
import type { Fields } from '../machine/fields.js';
import { pointerPartOf, readPartOf } from '../named-read.js';

/** An id without the two bits of state above it (kernel/printk/printk_ringbuffer.h). */
export const ID_MASK = (1n << 62n) - 1n;

/** The buffer is at most 2 GiB, and a descriptor stands for 32 bytes of it or so. */
const MOST_COUNT_BITS = 26;
const MOST_SIZE_BITS = 31;

/** The printk ring buffer: where its parts lie, and how far it has come. */
export interface LogRing {
  /** Address of the `struct printk_ringbuffer`. */
  readonly address: bigint;
  /** Descriptors, a power of two. */
  readonly count: bigint;
  readonly descriptors: bigint;
  readonly infos: bigint;
  /** Ids of the newest and of the oldest descriptor. */
  readonly head: bigint;
  readonly tail: bigint;
  /** Address and bytes of the ring of text. */
  readonly data: bigint;
  readonly dataSize: bigint;
  /** Offsets and sizes in bytes: of `prb_desc` first, then of `printk_info`. */
  readonly descriptorSize: number;
  readonly state: number;
  readonly begin: number;
  readonly next: number;
  readonly infoSize: number;
  readonly seq: number;
  readonly timestamp: number;
  readonly textLength: number;
}

/**
 * Finds the log's buffer (since 5.10). VMCOREINFO states all that this takes.
 *
 * @throws {KernelError} `no-symbols` or `unsupported-layout` if the log is in another form, `damaged`
 * @throws {ReadError}
 */
export function openRing(kernel: Kernel, fields: Fields): LogRing {
  const at = (address: bigint, struct: string, member: string): bigint =>
    address + BigInt(fields.offset(struct, member));
  const variable = needSymbol(kernel, 'prb');
  const address = pointerPartOf(kernel, 'prb', variable, variable);
  const pointer = (from: bigint): bigint =>
    pointerPartOf(kernel, 'struct printk_ringbuffer', address, from);
  const descs = at(address, 'printk_ringbuffer', 'desc_ring');
  const texts = at(address, 'printk_ringbuffer', 'text_data_ring');
  const bits = (from: bigint): number =>
    readPartOf(kernel, 'struct printk_ringbuffer', address, from, 4).getUint32(0, true);
  const countBits = bits(at(descs, 'prb_desc_ring', 'count_bits'));
  const sizeBits = bits(at(texts, 'prb_data_ring', 'size_bits'));
  if (countBits === 0 || countBits > MOST_COUNT_BITS || sizeBits > MOST_SIZE_BITS)
    throw new KernelError(
      'damaged',
      `kernel log has an invalid size (2^${countBits} records, 2^${sizeBits} bytes)`,
    );
  const block = fields.offset('prb_desc', 'text_blk_lpos');
  return {
    address,
    count: 1n << BigInt(countBits),
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
    seq: fields.offset('printk_info', 'seq'),
    timestamp: fields.offset('printk_info', 'ts_nsec'),
    textLength: fields.offset('printk_info', 'text_len'),
  };
}

/** The slot of an id in both arrays. */
export function slotOf(ring: LogRing, id: bigint): bigint {
  return id & (ring.count - 1n);
}
