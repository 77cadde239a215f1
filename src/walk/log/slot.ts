import { damaged } from '../../base/errors.js';
import { bytesOf } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import type { Fields } from '../machine/fields.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { decodeBytes } from '../struct-reader.js';

/** Descriptor states, in the two highest bits of the state word (enum desc_state). */
const RESERVED = 0n;
const COMMITTED = 1n;
const FINALIZED = 2n;

/**
 * Special positions: valid ones are aligned, and odd ones mark a record without text (printk_ringbuffer.c).
 */
const FAILED_LPOS = 1n;
const EMPTY_LINE_LPOS = 3n;

/** Size of the id before each text block, in bytes. */
const ID_BYTES = 8n;

/** Text block of a record. */
export interface TextBlock {
  /** Positions in the text ring, which only increase. */
  readonly begin: bigint;
  readonly next: bigint;
  /** Bytes after the block's id; valid until the next read. */
  readonly bytes: Uint8Array;
  /** Number of these bytes that are text. */
  readonly length: number;
}

/** Content of the ring's slot for an id. */
export type Slot =
  | {
      readonly kind: 'record';
      readonly info: DataView;
      /** Untrusted. */
      readonly text: string;
      /** Undefined if it has no text. */
      readonly block: TextBlock | undefined;
    }
  /** Its text was overwritten by newer text. */
  | { readonly kind: 'overwritten'; readonly begin: bigint }
  /** A CPU was writing it. */
  | { readonly kind: 'writing' }
  /** There was no room for its text. */
  | { readonly kind: 'no-room' }
  /** The slot contains another record: `id`. */
  | { readonly kind: 'other'; readonly id: bigint }
  /** It is inconsistent. */
  | { readonly kind: 'wrong'; readonly why: string };

/** Reads the slot for an id. */
export function readSlot(kernel: Kernel, ring: LogRing, id: bigint): Slot {
  const index = slotOf(ring, id);
  const at = ring.descriptors + index * BigInt(ring.descriptorSize);
  const descriptor = readPartOf(kernel, 'struct prb_desc', at, at, ring.descriptorSize);
  const state = descriptor.getBigUint64(ring.state, true);
  const begin = descriptor.getBigUint64(ring.begin, true);
  const next = descriptor.getBigUint64(ring.next, true);
  if ((state & ID_MASK) !== id) return { kind: 'other', id: state & ID_MASK };
  const kind = state >> 62n;
  if (kind === RESERVED) return { kind: 'writing' };
  if (kind !== COMMITTED && kind !== FINALIZED) return { kind: 'overwritten', begin };
  if (begin === FAILED_LPOS && next === FAILED_LPOS) return { kind: 'no-room' };
  const from = ring.infos + index * BigInt(ring.infoSize);
  const info = readPartOf(kernel, 'struct printk_info', from, from, ring.infoSize);
  const length = info.getUint16(ring.textLength, true);
  if (begin === EMPTY_LINE_LPOS && next === EMPTY_LINE_LPOS) {
    if (length > 0) return { kind: 'wrong', why: `its text length is ${length}, but it has no text` };
    return { kind: 'record', info, text: '', block: undefined };
  }
  return readBlock(kernel, ring, id, info, begin, next);
}

/** Reads a text block. It begins with the id of its descriptor; a block that wraps is at the ring's start. */
function readBlock(
  kernel: Kernel,
  { data, dataSize, textLength }: LogRing,
  id: bigint,
  info: DataView,
  begin: bigint,
  next: bigint,
): Slot {
  if (((begin | next) & (ID_BYTES - 1n)) !== 0n) return { kind: 'wrong', why: 'its text block is misaligned' };
  const end = ((next - 1n) & (dataSize - 1n)) + 1n;
  const wraps = begin / dataSize !== BigInt.asUintN(64, next - 1n) / dataSize;
  const start = wraps ? 0n : begin & (dataSize - 1n);
  const room = Number(end - start - ID_BYTES);
  if (room < 0 || BigInt.asUintN(64, next - begin) > dataSize)
    return { kind: 'wrong', why: 'its text block has an invalid range' };
  const from = data + start;
  const owner = pointerPartOf(kernel, 'the log', data, from);
  if ((owner & ID_MASK) !== id) return { kind: 'wrong', why: 'its text block belongs to another record' };
  const length = info.getUint16(textLength, true);
  if (length > room) return { kind: 'wrong', why: `its text length is ${length}, but its block has ${room} bytes` };
  const bytes = bytesOf(readPartOf(kernel, 'the log', data, from + ID_BYTES, room));
  const text = decodeBytes(bytes.subarray(0, length));
  return { kind: 'record', info, text, block: { begin, next, bytes, length } };
}

/** Mask of an id, without the two state bits above it (kernel/printk/printk_ringbuffer.h). */
export const ID_MASK = (1n << 62n) - 1n;

/**
 * log2 of the maximum number of descriptors and bytes: the buffer has at most 2 GiB, and one descriptor per
 * 32 bytes or so.
 */
const MAX_COUNT_BITS = 26;
const MAX_SIZE_BITS = 31;

/** The printk ring buffer: addresses and layout of its parts, and its oldest and newest descriptor. */
export interface LogRing {
  /** Address of the `struct printk_ringbuffer`. */
  readonly address: bigint;
  /** Number of descriptors, a power of two. */
  readonly count: bigint;
  readonly descriptors: bigint;
  readonly infos: bigint;
  /** Ids of the newest and the oldest descriptor. */
  readonly head: bigint;
  readonly tail: bigint;
  /** Address of the text ring, and its size in bytes. */
  readonly data: bigint;
  readonly dataSize: bigint;
  /** Sizes and offsets in bytes: first of `prb_desc`, then of `printk_info`. */
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
 * Opens the log buffer (since 5.10). VMCOREINFO contains everything required.
 *
 * @throws {KernelError} `no-symbols` or `unsupported-layout` if the log is in another form, `damaged`
 */
export function openRing(kernel: Kernel, fields: Fields): LogRing {
  const at = (address: bigint, struct: string, member: string): bigint =>
    address + BigInt(fields.offset(struct, member));
  const variable = needSymbol(kernel, 'prb');
  const address = pointerPartOf(kernel, 'prb', variable, variable);
  const pointer = (from: bigint): bigint => pointerPartOf(kernel, 'struct printk_ringbuffer', address, from);
  const descs = at(address, 'printk_ringbuffer', 'desc_ring');
  const texts = at(address, 'printk_ringbuffer', 'text_data_ring');
  const bits = (from: bigint): number =>
    readPartOf(kernel, 'struct printk_ringbuffer', address, from, 4).getUint32(0, true);
  const countBits = bits(at(descs, 'prb_desc_ring', 'count_bits'));
  const sizeBits = bits(at(texts, 'prb_data_ring', 'size_bits'));
  if (countBits === 0 || countBits > MAX_COUNT_BITS || sizeBits > MAX_SIZE_BITS)
    throw damaged(`kernel log has an invalid size (2^${countBits} records, 2^${sizeBits} bytes)`);
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

/** Index of an id in both arrays. */
export function slotOf(ring: LogRing, id: bigint): bigint {
  return id & (ring.count - 1n);
}
