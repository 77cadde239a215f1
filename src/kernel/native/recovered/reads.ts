import { ReadError, readOrNot } from '../../../base/errors.js';
import { viewOf } from '../../bytes.js';
import type { Architecture } from '../arch/arch.js';
import { readWithHoles } from '../image-scan.js';
import type { KernelMemory } from '../memory.js';

export type Memory = { read(address: bigint, length: number): DataView };

const PRINTABLE = /^[\x21-\x7e]+$/;

/** A 64-bit word. @throws {ReadError} */
export function word(memory: Memory, address: bigint): bigint {
  return memory.read(BigInt.asUintN(64, address), 8).getBigUint64(0, true);
}

/** Reads a 64-bit word, or returns undefined if it cannot be read. */
export function wordOrNot(memory: Memory, address: bigint): bigint | undefined {
  return readOrNot(() => word(memory, address));
}

/** Reads a 32-bit number, or returns undefined if it cannot be read. */
export function numberOrNot(memory: Memory, address: bigint): number | undefined {
  return readOrNot(() => memory.read(BigInt.asUintN(64, address), 4).getUint32(0, true));
}

/** Reads printable text that ends in NUL within this many bytes. */
export function textOrNot(memory: Memory, address: bigint, limit: number): string | undefined {
  return readOrNot(() => {
    const view = memory.read(BigInt.asUintN(64, address), limit);
    const bytes = Buffer.from(view.buffer, view.byteOffset, limit);
    const text = bytes.toString('latin1', 0, Math.max(bytes.indexOf(0), 0));
    return PRINTABLE.test(text) ? text : undefined;
  });
}

/** Returns the only element of a list; undefined if it has none, or more than one. */
export function only<T>(items: readonly T[]): T | undefined {
  return items.length === 1 ? items[0] : undefined;
}

/** The image is mapped in pieces that begin at multiples of this. */
const PIECE = 1 << 16;
/** After an unmapped gap of this size the image has ended. */
const LONGEST_GAP = 32 << 20;
/** Larger than any kernel image. */
const MAX_BYTES = 256 << 20;

/**
 * The kernel image in one buffer, for full searches. Unreadable bytes are zeros: matches must be
 * verified by reads that do not substitute zeros.
 */
export class ImageBytes {
  /** Virtual address of the first byte; a multiple of 64 KiB. */
  readonly start: bigint;
  readonly bytes: Buffer;
  readonly view: DataView;
  /** The same bytes as 32-bit words, in host byte order. */
  readonly words: Int32Array;

  constructor(start: bigint, bytes: Uint8Array<ArrayBuffer>) {
    this.start = start;
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = viewOf(bytes);
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  }

  static read(memory: Pick<KernelMemory, 'read'>, arch: Architecture): ImageBytes {
    const { start, end } = arch.imageRange;
    const limit = Math.min(Number(end - start), MAX_BYTES);
    const mapped: number[] = [];
    for (let at = 0; at < limit; at += PIECE) {
      if (isMapped(arch, start + BigInt(at))) mapped.push(at);
      else if (at - (mapped.at(-1) ?? 0) > LONGEST_GAP) break;
    }
    const bytes = new Uint8Array((mapped.at(-1) ?? 0) + PIECE);
    for (const at of mapped) bytes.set(readWithHoles(memory, start + BigInt(at), PIECE), at);
    return new ImageBytes(start, bytes);
  }

  /** Bytes from the start to an address; -1 if it is outside. */
  offset(address: bigint): number {
    const offset = BigInt.asUintN(64, address - this.start);
    return offset < BigInt(this.bytes.length) ? Number(offset) : -1;
  }

  address(offset: number): bigint {
    return this.start + BigInt(offset);
  }

  /** Offsets of all 64-bit words, at multiples of 8, with a given value. At most `limit`. */
  wordsEqual(value: bigint, limit: number): number[] {
    const needle = Buffer.alloc(8);
    needle.writeBigUInt64LE(BigInt.asUintN(64, value));
    const places: number[] = [];
    for (let at = this.bytes.indexOf(needle); at >= 0; at = this.bytes.indexOf(needle, at + 1)) {
      if (at % 8 !== 0) continue;
      places.push(at);
      if (places.length >= limit) break;
    }
    return places;
  }
}

function isMapped(arch: Architecture, address: bigint): boolean {
  try {
    return arch.protection(address) !== undefined;
  } catch (error) {
    if (error instanceof ReadError) return false;
    throw error;
  }
}

const MAX_ENTRIES = 4096;
/** Maximum number of list heads that are followed further than one step. */
const MAX_HEADS = 10_000;

/**
 * The nodes of a circular `struct list_head` list without the head; undefined if a node's `prev` is not
 * its predecessor, or the list is not circular.
 */
export function ring(memory: Memory, head: bigint): readonly bigint[] | undefined {
  return readOrNot(() => {
    const nodes: bigint[] = [];
    let before = head;
    let at = word(memory, head);
    while (at !== head) {
      if (nodes.length >= MAX_ENTRIES || word(memory, at + 8n) !== before) return undefined;
      nodes.push(at);
      before = at;
      at = word(memory, at);
    }
    return word(memory, head + 8n) === before ? nodes : undefined;
  });
}

/**
 * Addresses in the image of heads of non-empty lists whose nodes all pass a test. Both pointers of a
 * head are in the given range.
 */
export function* headsOf(
  memory: Memory,
  image: ImageBytes,
  range: { readonly start: bigint; readonly end: bigint },
  isNode: (node: bigint) => boolean,
): Generator<bigint> {
  const { words } = image;
  // Upper halves first: they rule out nearly all words.
  const least = Number(range.start >> 32n) | 0;
  const limit = Number(range.end >> 32n) | 0;
  let followed = 0;
  for (let index = 0; index + 3 < words.length; index += 2) {
    const next = words[index + 1]!;
    const previous = words[index + 3]!;
    if (next < least || next > limit || previous < least || previous > limit) continue;
    const first = image.view.getBigUint64(index * 4, true);
    if (first < range.start || first >= range.end || first % 8n !== 0n) continue;
    const head = image.address(index * 4);
    if (first === head || wordOrNot(memory, first + 8n) !== head || !isNode(first)) continue;
    if (++followed > MAX_HEADS) return;
    const nodes = ring(memory, head);
    if (nodes?.every(isNode)) yield head;
  }
}
