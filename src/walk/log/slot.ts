import { bytesOf } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { decodeBytes } from '../struct-reader.js';
import { ID_MASK, type LogRing, slotOf } from './ring.js';

/** States of a descriptor, in the two highest bits of its state (enum desc_state). */
const RESERVED = 0n;
const COMMITTED = 1n;
const FINALIZED = 2n;

/** Positions are aligned: odd ones mark a record without text (printk_ringbuffer.c). */
const FAILED_LPOS = 1n;
const EMPTY_LINE_LPOS = 3n;

/** Bytes of the id before each block of text. */
const ID_BYTES = 8n;

/** Where the text of a record lies. */
export interface TextBlock {
  /** Positions in the ring of text, which only grow. */
  readonly begin: bigint;
  readonly next: bigint;
  /** All behind the block's id; valid until something else is read. */
  readonly bytes: Uint8Array;
  /** How many of them are the text. */
  readonly length: number;
}

/** What a slot of the ring holds for an id. */
export type Slot =
  | {
      readonly kind: 'record';
      readonly info: DataView;
      /** Hostile. */
      readonly text: string;
      /** Undefined: it has no text. */
      readonly block: TextBlock | undefined;
    }
  /** Its text gave way to newer text. */
  | { readonly kind: 'overwritten'; readonly begin: bigint }
  /** A CPU was writing it. */
  | { readonly kind: 'writing' }
  /** There was no room for its text. */
  | { readonly kind: 'no-room' }
  /** Another record is there: `id`. */
  | { readonly kind: 'other'; readonly id: bigint }
  /** It contradicts itself. */
  | { readonly kind: 'wrong'; readonly why: string };

/**
 * What the log has for an id.
 *
 * @throws {ReadError}
 */
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
    if (length > 0)
      return { kind: 'wrong', why: `its text length is ${length}, but it has no text` };
    return { kind: 'record', info, text: '', block: undefined };
  }
  return readBlock(kernel, ring, id, info, begin, next);
}

/** A block of text begins with the id of its descriptor; one that wraps lies at the ring's start. */
function readBlock(
  kernel: Kernel,
  { data, dataSize, textLength }: LogRing,
  id: bigint,
  info: DataView,
  begin: bigint,
  next: bigint,
): Slot {
  if (((begin | next) & (ID_BYTES - 1n)) !== 0n)
    return { kind: 'wrong', why: 'its text block is misaligned' };
  const end = ((next - 1n) & (dataSize - 1n)) + 1n;
  const wraps = begin / dataSize !== BigInt.asUintN(64, next - 1n) / dataSize;
  const start = wraps ? 0n : begin & (dataSize - 1n);
  const room = Number(end - start - ID_BYTES);
  if (room < 0 || BigInt.asUintN(64, next - begin) > dataSize)
    return { kind: 'wrong', why: 'its text block has an invalid range' };
  const from = data + start;
  const owner = pointerPartOf(kernel, 'the log', data, from);
  if ((owner & ID_MASK) !== id)
    return { kind: 'wrong', why: 'its text block belongs to another record' };
  const length = info.getUint16(textLength, true);
  if (length > room)
    return { kind: 'wrong', why: `its text length is ${length}, but its block has ${room} bytes` };
  const bytes = bytesOf(readPartOf(kernel, 'the log', data, from + ID_BYTES, room));
  const text = decodeBytes(bytes.subarray(0, length));
  return { kind: 'record', info, text, block: { begin, next, bytes, length } };
}
