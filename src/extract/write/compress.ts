import zlib from 'node:zlib';
import { ExtractError } from '../../base/errors.js';

/** Compression methods for pages. */
export const COMPRESSIONS = ['zlib', 'zstd', 'lzo', 'snappy', 'none'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export type Compressor = (page: Uint8Array) => Uint8Array;

/** @throws {ExtractError} `no-compressor` if this Node has no zstd (before 22.15) */
export async function compressor(compression: Compression): Promise<Compressor> {
  switch (compression) {
    case 'none':
      return (page) => page;
    case 'zlib':
      return (page) => zlib.deflateSync(page, { level: 9 });
    case 'lzo':
      return compressLzo;
    case 'snappy': {
      const { default: snappy } = await import('snappyjs');
      return (page) => snappy.compress(page);
    }
    case 'zstd': {
      // The types of the oldest supported Node version lack it.
      const { zstdCompressSync } = zlib as { zstdCompressSync?: (data: Uint8Array, options?: object) => Uint8Array };
      if (zstdCompressSync === undefined) {
        const message = `Node ${process.versions.node}: no zstd compression (requires 22.15 or later)`;
        throw new ExtractError('no-compressor', message);
      }
      // ZSTD_c_compressionLevel
      return (page) => zstdCompressSync(page, { params: { 100: 19 } });
    }
  }
}

/**
 * LZO1X, as the kernel documents its stream (Documentation/staging/lzo.rst): literals, and matches of 3 bytes
 * or more within the last 16 KiB (M2 and M3 instructions only). Greedy, with one candidate.
 */
export function compressLzo(page: Uint8Array): Uint8Array {
  const out = new Writer(page.length);
  const last = new Int32Array(1 << HASH_BITS).fill(-1);
  let literals = 0;
  let at = 0;
  // The decoder's fast paths read ahead: leave the tail to literals.
  const end = page.length - TAIL;
  while (at < end) {
    const hash = hashOf(page, at);
    const from = last[hash]!;
    last[hash] = at;
    const distance = at - from;
    if (from < 0 || distance > MAX_DISTANCE || !sameThree(page, from, at)) {
      at++;
      continue;
    }
    let length = MIN_MATCH;
    while (at + length < end && page[from + length] === page[at + length]) length++;
    out.literals(page.subarray(literals, at));
    out.match(distance, length);
    at += length;
    literals = at;
  }
  out.literals(page.subarray(literals));
  return out.end();
}

const HASH_BITS = 12;
const MIN_MATCH = 3;
const TAIL = 8;
/** An M3 instruction reaches back 2^14 bytes. */
const MAX_DISTANCE = 1 << 14;
const M2_DISTANCE = 1 << 11;
const M2_LENGTH = 8;

function hashOf(page: Uint8Array, at: number): number {
  const three = page[at]! | (page[at + 1]! << 8) | (page[at + 2]! << 16);
  return Math.imul(three, 0x9e3779b1) >>> (32 - HASH_BITS);
}

function sameThree(page: Uint8Array, a: number, b: number): boolean {
  return page[a] === page[b] && page[a + 1] === page[b + 1] && page[a + 2] === page[b + 2];
}

class Writer {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** Position where the last match stores the number of up to 3 literals that follow it; -1 at the start. */
  #trailing = -1;

  constructor(length: number) {
    // Worst case: runs of 4 literals, which cost one more byte, and matches of 3, which save none.
    this.#bytes = new Uint8Array(length + Math.ceil(length / 7) + 64);
  }

  literals(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length === 0) return;
    if (this.#trailing < 0 && length <= 238) {
      // Only the first byte of a stream can be 17 + length: there is no match yet to store short runs in.
      this.#put(17 + length);
    } else if (this.#trailing >= 0 && length <= 3) {
      this.#bytes[this.#trailing]! |= length;
    } else if (length <= 18) {
      this.#put(length - 3);
    } else {
      this.#put(0);
      this.#long(length - 18);
    }
    this.#bytes.set(bytes, this.#at);
    this.#at += length;
  }

  match(distance: number, length: number): void {
    const back = distance - 1;
    if (length <= M2_LENGTH && distance <= M2_DISTANCE) {
      this.#trailing = this.#at;
      this.#put(((length - 1) << 5) | ((back & 7) << 2));
      this.#put(back >>> 3);
      return;
    }
    if (length <= 33) this.#put(0x20 | (length - 2));
    else {
      this.#put(0x20);
      this.#long(length - 33);
    }
    this.#trailing = this.#at;
    this.#put((back & 63) << 2);
    this.#put(back >>> 6);
  }

  /** Adds the end mark, an M4 instruction with distance 16384, and returns the stream. */
  end(): Uint8Array {
    this.#put(17);
    this.#put(0);
    this.#put(0);
    return this.#bytes.slice(0, this.#at);
  }

  /** A length beyond the instruction's range: a zero for each 255, then the remainder (1 to 255). */
  #long(rest: number): void {
    let left = rest;
    for (; left > 255; left -= 255) this.#put(0);
    this.#put(left);
  }

  #put(byte: number): void {
    this.#bytes[this.#at++] = byte;
  }
}
