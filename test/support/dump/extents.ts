import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

/** Bytes at an offset of a file. Gaps between extents are holes, which read as zeros. */
export interface Extent {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Writes a sparse file: offsets of many gigabytes cost nothing. */
export function writeExtents(path: string, extents: readonly Extent[], size?: number): string {
  const fd = openSync(path, 'w');
  for (const { offset, bytes } of extents) writeSync(fd, bytes, 0, bytes.length, offset);
  if (size !== undefined) ftruncateSync(fd, size);
  closeSync(fd);
  return path;
}

/** The extents as one buffer, with zeros in the holes. */
export function joinExtents(extents: readonly Extent[]): Buffer {
  const size = Math.max(0, ...extents.map(({ offset, bytes }) => offset + bytes.length));
  const whole = Buffer.alloc(size);
  for (const { offset, bytes } of extents) whole.set(bytes, offset);
  return whole;
}

export interface FlattenOptions {
  /** Maximum number of bytes of a record; larger extents are split. By default 4096. */
  readonly recordBytes?: number;
  /** Omits the end mark, as in a stream that was truncated between two records. */
  readonly noEnd?: boolean;
}

/** The stream that `makedumpfile -F` would write for these extents, in this order. */
export function flatten(extents: readonly Extent[], options: FlattenOptions = {}): Buffer {
  const header = Buffer.alloc(4096);
  header.write('makedumpfile', 0, 'latin1');
  header.writeBigInt64BE(1n, 16);
  header.writeBigInt64BE(1n, 24);
  const step = options.recordBytes ?? 4096;
  const parts: Uint8Array[] = [header];
  for (const { offset, bytes } of extents) {
    for (let at = 0; at < bytes.length; at += step) {
      const record = bytes.subarray(at, at + step);
      parts.push(recordHeader(offset + at, record.length), record);
    }
  }
  if (!options.noEnd) parts.push(recordHeader(-1, -1));
  return Buffer.concat(parts);
}

function recordHeader(offset: number, size: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeBigInt64BE(BigInt(offset), 0);
  header.writeBigInt64BE(BigInt(size), 8);
  return header;
}
