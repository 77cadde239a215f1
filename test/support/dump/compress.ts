import { deflateSync } from 'node:zlib';
import snappy from 'snappyjs';

export type Compression = 'none' | 'zlib' | 'lzo' | 'snappy' | 'zstd';

/** DUMP_DH_COMPRESSED_… */
export const FLAGS: Readonly<Record<Compression, number>> = {
  none: 0,
  zlib: 0x1,
  lzo: 0x2,
  snappy: 0x4,
  zstd: 0x20,
};

/**
 * A page in the form that its decoder expects. LZO and zstd are written as literals and as a stored
 * block: valid streams, not small ones. What real compressors write is in `codecs/vectors.ts`.
 */
export function compress(page: Uint8Array, as: Compression): Uint8Array {
  if (as === 'zlib') return deflateSync(page, { level: 1 });
  if (as === 'snappy') return snappy.compress(new Uint8Array(page));
  if (as === 'lzo') return literalLzo(page);
  if (as === 'zstd') return storedZstd(page);
  return page;
}

/** One literal run of the whole page, then the end mark (Documentation/staging/lzo.rst). */
function literalLzo(page: Uint8Array): Uint8Array {
  const rest = page.length - 18;
  const zeros = Math.ceil(rest / 255) - 1;
  return Buffer.concat([
    Buffer.from([0]),
    Buffer.alloc(zeros),
    Buffer.from([rest - zeros * 255]),
    page,
    Buffer.from([17, 0, 0]),
  ]);
}

/** A single-segment frame of one raw block (RFC 8878, 3.1.1). */
function storedZstd(page: Uint8Array): Uint8Array {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(0xfd2fb528, 0);
  head.writeUInt8(0b1010_0000, 4);
  head.writeUInt32LE(page.length, 5);
  const block = (page.length << 3) | 1;
  head.writeUIntLE(block, 9, 3);
  return Buffer.concat([head, page]);
}
