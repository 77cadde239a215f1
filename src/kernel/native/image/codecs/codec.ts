import { inflateSync } from 'node:zlib';

/**
 * Decompresses a page of exactly `size` bytes. Returns undefined if the input is corrupt or has
 * another length; never allocates more than `size` bytes for it, and never throws.
 */
export type Codec = (input: Uint8Array, size: number) => Uint8Array | undefined;

/** DUMP_DH_COMPRESSED_ZLIB: one zlib stream per page. */
export const inflateZlib: Codec = (input, size) => {
  try {
    // One spare byte: without it, node calls zlib again with another buffer to check for more output.
    const output = inflateSync(input, { maxOutputLength: size, chunkSize: Math.max(size + 1, 64) });
    return output.byteLength === size ? output : undefined;
  } catch (error) {
    if (isZlibError(error)) return undefined;
    throw error;
  }
};

/** Errors of node:zlib for bad input (Z_DATA_ERROR, Z_BUF_ERROR) or for too much output. */
export function isZlibError(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  const code = String(error.code);
  return code.startsWith('Z_') || code.startsWith('ZSTD_') || code === 'ERR_BUFFER_TOO_LARGE';
}
