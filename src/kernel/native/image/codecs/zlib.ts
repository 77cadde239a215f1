import { inflateSync } from 'node:zlib';
import type { Codec } from './codec.js';

/** DUMP_DH_COMPRESSED_ZLIB: a zlib stream a page. */
export const inflateZlib: Codec = (input, size) => {
  try {
    // A byte of room is left over: where none is, node asks zlib again, with another buffer, if there is more.
    const output = inflateSync(input, { maxOutputLength: size, chunkSize: Math.max(size + 1, 64) });
    return output.byteLength === size ? output : undefined;
  } catch (error) {
    if (isZlibError(error)) return undefined;
    throw error;
  }
};

/** What node:zlib throws for bad input (Z_DATA_ERROR, Z_BUF_ERROR) or for too much output. */
export function isZlibError(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  const code = String(error.code);
  return code.startsWith('Z_') || code.startsWith('ZSTD_') || code === 'ERR_BUFFER_TOO_LARGE';
}
