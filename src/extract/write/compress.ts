import zlib from 'node:zlib';
import { ExtractError } from '../../base/errors/extract.js';
import { compressLzo } from './lzo.js';

/** How pages are stored. */
export const COMPRESSIONS = ['zlib', 'zstd', 'lzo', 'snappy', 'none'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export type Compressor = (page: Uint8Array) => Uint8Array;

/** @throws {ExtractError} `no-compressor` when this Node has no zstd (before 22.15) */
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
      // Node's types for its oldest supported version don't know it.
      const { zstdCompressSync } = zlib as {
        zstdCompressSync?: (data: Uint8Array, options?: object) => Uint8Array;
      };
      if (zstdCompressSync === undefined) {
        const message = `Node ${process.versions.node}: no zstd compression (requires 22.15 or later)`;
        throw new ExtractError('no-compressor', message);
      }
      // ZSTD_c_compressionLevel
      return (page) => zstdCompressSync(page, { params: { 100: 19 } });
    }
  }
}
