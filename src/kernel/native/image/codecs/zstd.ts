import { createRequire } from 'node:module';
import zlib from 'node:zlib';
import type { Codec } from './codec.js';
import { isZlibError } from './zlib.js';

let decoder: Codec | undefined;

/** DUMP_DH_COMPRESSED_ZSTD: a zstd frame a page. */
export const inflateZstd: Codec = (input, size) => {
  if (!frameFits(input, size)) return undefined;
  decoder ??= builtIn() ?? fzstd();
  const output = decoder(input, size);
  return output?.byteLength === size ? output : undefined;
};

/** node:zlib has zstd since Node 22.15; its types in older versions don't. */
function builtIn(): Codec | undefined {
  const decompress: unknown = Reflect.get(zlib, 'zstdDecompressSync');
  if (typeof decompress !== 'function') return undefined;
  return (input, size) => {
    try {
      return decompress(input, { maxOutputLength: size });
    } catch (error) {
      if (isZlibError(error)) return undefined;
      throw error;
    }
  };
}

/** Loaded when it is first needed: its import costs 3.6 ms, and most dumps are not zstd. */
function fzstd(): Codec {
  const { decompress }: typeof import('fzstd') = createRequire(import.meta.url)('fzstd');
  return (input, size) => {
    try {
      return decompress(input, new Uint8Array(size));
    } catch {
      // Damaged input ends in its own errors, or in a RangeError where it runs over its buffers.
      return undefined;
    }
  };
}

const MAGIC = 0xfd2fb528;

/**
 * Checks the frame header (RFC 8878, 3.1.1.1): a decoder allocates what the header claims, so it is
 * believed only if that is a page. libzstd always writes the content size of a one-shot frame.
 */
function frameFits(input: Uint8Array, size: number): boolean {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  if (input.byteLength < 6 || view.getUint32(0, true) !== MAGIC) return false;
  const descriptor = view.getUint8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  let at = 5 + dictionaryBytes;
  if (!singleSegment) {
    // A window may be larger than the content, but not by much for a page.
    const exponent = view.getUint8(5) >> 3;
    if (exponent > 13) return false;
    at++;
  }
  const sizeFlag = descriptor >> 6;
  if (at + 8 > input.byteLength && at + (1 << sizeFlag) > input.byteLength) return false;
  if (sizeFlag === 0) return !singleSegment || view.getUint8(at) === size;
  if (sizeFlag === 1) return view.getUint16(at, true) + 256 === size;
  if (sizeFlag === 2) return view.getUint32(at, true) === size;
  return view.getBigUint64(at, true) === BigInt(size);
}
