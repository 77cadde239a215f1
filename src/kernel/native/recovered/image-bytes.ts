import { ReadError } from '../../../base/errors/kernel.js';
import { viewOf } from '../../bytes.js';
import type { Architecture } from '../arch/arch.js';
import { readWithHoles } from '../image-scan.js';
import type { KernelMemory } from '../memory.js';

/** The image is mapped in pieces that begin at multiples of this. */
const PIECE = 1 << 16;
/** Nothing mapped in so many bytes: the image has ended. */
const LONGEST_GAP = 32 << 20;
/** No kernel image comes near this. */
const MOST_BYTES = 256 << 20;

/**
 * The kernel image in one piece, for searches of all of it. What cannot be read is zeros: what is
 * found must be checked by reads that do not fill in.
 */
export class ImageBytes {
  /** Virtual address of the first byte; a multiple of 64 KiB. */
  readonly start: bigint;
  readonly bytes: Buffer;
  readonly view: DataView;
  /** The same bytes as 32-bit words, in the order of this machine. */
  readonly words: Int32Array;

  constructor(start: bigint, bytes: Uint8Array<ArrayBuffer>) {
    this.start = start;
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = viewOf(bytes);
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  }

  static read(memory: Pick<KernelMemory, 'read'>, arch: Architecture): ImageBytes {
    const { start, end } = arch.imageRange;
    const most = Math.min(Number(end - start), MOST_BYTES);
    const mapped: number[] = [];
    for (let at = 0; at < most; at += PIECE) {
      if (isMapped(arch, start + BigInt(at))) mapped.push(at);
      else if (at - (mapped.at(-1) ?? 0) > LONGEST_GAP) break;
    }
    const bytes = new Uint8Array((mapped.at(-1) ?? 0) + PIECE);
    for (const at of mapped) bytes.set(readWithHoles(memory, start + BigInt(at), PIECE), at);
    return new ImageBytes(start, bytes);
  }

  /** Bytes from the start to an address; -1 where that is outside. */
  offset(address: bigint): number {
    const offset = BigInt.asUintN(64, address - this.start);
    return offset < BigInt(this.bytes.length) ? Number(offset) : -1;
  }

  address(offset: number): bigint {
    return this.start + BigInt(offset);
  }

  /** Offsets of all 64-bit words, at multiples of 8, that hold a value. At most `most`. */
  wordsEqual(value: bigint, most: number): number[] {
    const needle = Buffer.alloc(8);
    needle.writeBigUInt64LE(BigInt.asUintN(64, value));
    const found: number[] = [];
    for (let at = this.bytes.indexOf(needle); at >= 0; at = this.bytes.indexOf(needle, at + 1)) {
      if (at % 8 !== 0) continue;
      found.push(at);
      if (found.length >= most) break;
    }
    return found;
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
