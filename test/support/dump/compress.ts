import { deflateSync } from 'node:zlib';
import snappy from 'snappyjs';

export type Compression = 'none' | 'zlib' | 'lzo' | 'snappy' | 'zstd';

/** DUMP_DH_COMPRESSED_… */
export const FLAGS: Readonly<Record<Compression, number>> = { none: 0, zlib: 0x1, lzo: 0x2, snappy: 0x4, zstd: 0x20 };

/**
 * A page in the format that its decoder expects. LZO and zstd are hand-written: literals, and a run
 * for the zeros at the end of the page. Output of real compressors is in `codecs/vectors.ts`.
 */
export function compress(page: Uint8Array, as: Compression): Uint8Array {
  if (as === 'zlib') return deflateSync(page, { level: 1 });
  if (as === 'snappy') return snappy.compress(new Uint8Array(page));
  if (as === 'lzo') return lzo(page);
  if (as === 'zstd') return zstd(page);
  return page;
}

/** Number of bytes before the zeros at the end of a page; at least the 4 that a literal run needs. */
function withoutZeros(page: Uint8Array): Uint8Array {
  let end = page.length;
  while (end > 22 && page[end - 1] === 0) end--;
  return page.subarray(0, end);
}

/** A literal run, a match of distance 1 for the zeros, the end (Documentation/staging/lzo.rst). */
function lzo(page: Uint8Array): Uint8Array {
  const head = withoutZeros(page);
  const zeros = page.length - head.length;
  const literals = zeros > 40 ? page.subarray(0, head.length + 1) : page;
  const parts = [Buffer.from([0]), lzoLength(literals.length - 18), literals];
  if (literals.length < page.length) {
    const run = page.length - literals.length;
    parts.push(Buffer.from([0x20]), lzoLength(run - 33), Buffer.from([0, 0]));
  }
  return Buffer.concat([...parts, Buffer.from([17, 0, 0])]);
}

/** The rest of a length beyond the bits of the instruction: zeros of 255 each, then 1 to 255. */
function lzoLength(rest: number): Buffer {
  const zeros = Math.ceil(rest / 255) - 1;
  return Buffer.concat([Buffer.alloc(zeros), Buffer.from([rest - zeros * 255])]);
}

/** A single-segment frame of one raw block and one of a repeated byte (RFC 8878, 3.1.1). */
function zstd(page: Uint8Array): Uint8Array {
  const head = withoutZeros(page);
  const zeros = page.length - head.length;
  const frame = Buffer.alloc(9);
  frame.writeUInt32LE(0xfd2fb528, 0);
  frame.writeUInt8(0b1010_0000, 4);
  frame.writeUInt32LE(page.length, 5);
  const last = zeros === 0 ? 1 : 0;
  const parts = [frame, blockHeader((head.length << 3) | last), head];
  if (zeros > 0) parts.push(blockHeader((zeros << 3) | 0b011), Buffer.alloc(1));
  return Buffer.concat(parts);
}

function blockHeader(value: number): Buffer {
  const header = Buffer.alloc(3);
  header.writeUIntLE(value, 0, 3);
  return header;
}
