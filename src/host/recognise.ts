import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { constants as flush, gunzipSync } from 'node:zlib';

/** An archive's first member begins within this many bytes. */
const HEAD_BYTES = 16 * 1024;

/** Upper bound on what gzip can expand that to. */
const MAX_UNPACKED = 1100 * HEAD_BYTES;

/** Names of a capture's top directory, and of archives of other collectors. */
const TOP =
  /^(?:\.\/)?(?:kdump-mem-snapshot|skcheck-capture|(?:sosreport-|scc_|nts_|insights-|must-gather)[^/]{0,200})(?:\/|$)/;
const PACKED = /\.(?:txz|tbz2?|tgz|tar\.(?:xz|bz2|zst|gz))$/;

/** Files and folders that make a folder a copy of a host. */
const OF_HOST = ['sample-1', 'proc/meminfo', 'sos_commands', 'meminfo', 'memory.txt', 'insights_commands'];

/**
 * Whether a path is a capture or a sosreport, by its first bytes: a directory, or a tar archive, plain
 * or gzipped. False if it cannot be read.
 */
export function looksCaptured(path: string): boolean {
  try {
    if (statSync(path).isDirectory()) return OF_HOST.some((name) => existsSync(join(path, name)));
    const name = basename(path);
    return isCapture(headOf(path)) || (TOP.test(name) && PACKED.test(name));
  } catch {
    // The error is reported when it is opened.
    return false;
  }
}

function headOf(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    if (!fstatSync(file).isFile()) return Buffer.alloc(0);
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(file);
  }
}

/** Compression formats by their first bytes in hexadecimal. lz4 has two. */
const COMPRESSIONS = {
  '1f8b': 'gzip',
  fd377a58: 'xz',
  '28b52ffd': 'zstd',
  '425a68': 'bzip2',
  '04224d18': 'lz4',
  '02214c18': 'lz4',
} as const;

export type Compression = (typeof COMPRESSIONS)[keyof typeof COMPRESSIONS];

/** Compression format of a file by its first bytes; null: it is not compressed, or in another format. */
export function compressionOf(head: Buffer): Compression | null {
  const hex = head.toString('hex', 0, 4);
  return Object.entries(COMPRESSIONS).find(([magic]) => hex.startsWith(magic))?.[1] ?? null;
}

/** Whether these first bytes are those of a tar archive. */
export function isTar(head: Buffer): boolean {
  return head.toString('latin1', 257, 262) === 'ustar';
}

/** Whether a file is compressed or a tar archive, by its first bytes. False if it cannot be read. */
export function isPacked(path: string): boolean {
  try {
    const head = headOf(path);
    return compressionOf(head) !== null || isTar(head);
  } catch {
    return false;
  }
}

function isCapture(head: Buffer): boolean {
  if (compressionOf(head) === 'gzip')
    return isCapture(gunzipSync(head, { finishFlush: flush.Z_SYNC_FLUSH, maxOutputLength: MAX_UNPACKED }));
  if (!isTar(head)) return false;
  return TOP.test(head.toString('latin1', 0, 100).replace(/\0.*$/s, ''));
}

/** Whether these first bytes are those of a kernel dump. */
export function looksLikeDump(head: Buffer): boolean {
  const text = head.toString('latin1');
  return text.startsWith('\x7fELF') || text.startsWith('KDUMP   ') || text.startsWith('makedumpfile');
}

/** Limits on decompression: a few kilobytes may expand to terabytes. */
export interface UnpackLimit {
  /** Decompressed bytes. */
  readonly bytes: number;
  readonly seconds: number;
}

/** No snapshot or sosreport is larger. */
export const CAPTURE_LIMIT: UnpackLimit = { bytes: 8 * 2 ** 30, seconds: 300 };

/** Limit on reading a folder, and on each dump of many. */
export const FOLDER_SECONDS = 600;

/** Passes pieces on until the limit is reached. */
export class LimitedStream {
  /** The limit that was reached; null: none. */
  exceeded: string | null = null;
  readonly #limit: UnpackLimit;
  readonly #end: number;
  #bytes = 0;

  constructor(limit: UnpackLimit) {
    this.#limit = limit;
    this.#end = performance.now() + limit.seconds * 1000;
  }

  /** Whether the limit is reached. */
  get isOver(): boolean {
    if (this.#bytes >= this.#limit.bytes)
      this.exceeded = `${(this.#limit.bytes / 2 ** 30).toFixed(1)} GiB were unpacked`;
    else if (performance.now() >= this.#end) this.exceeded = `${this.#limit.seconds} seconds`;
    return this.exceeded !== null;
  }

  async *of(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of pieces) {
      yield piece;
      this.#bytes += piece.length;
      if (this.isOver) return;
    }
  }
}
