import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { constants as flush, gunzipSync } from 'node:zlib';

/** In so much of an archive its first member begins. */
const HEAD_BYTES = 16 * 1024;

/** gzip makes no more of that. */
const MOST_UNPACKED = 1100 * HEAD_BYTES;

/** What a capture’s top directory is called, and what it begins with. */
const TOP = /^(?:\.\/)?(?:kdump-mem-snapshot|skcheck-capture|sosreport-[^/]{1,200})(?:\/|$)/;

/**
 * Whether this is a capture or a sosreport, by its first bytes: a directory, or a tar archive, plain or of gzip.
 * What cannot be read is none.
 */
export function looksCaptured(path: string): boolean {
  try {
    if (statSync(path).isDirectory())
      return statSync(join(path, 'sample-1'), { throwIfNoEntry: false }) !== undefined;
    return isCapture(headOf(path));
  } catch {
    // Whoever opens it says why it cannot be.
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

/** What a file is packed by, or that it is a tar archive, by its first bytes; null: neither. */
export function archiveKind(head: Buffer): 'gzip' | 'xz' | 'zstd' | 'tar' | null {
  const hex = head.toString('hex', 0, 4);
  if (hex.startsWith('1f8b')) return 'gzip';
  if (hex === 'fd377a58') return 'xz';
  if (hex === '28b52ffd') return 'zstd';
  return head.toString('latin1', 257, 262) === 'ustar' ? 'tar' : null;
}

function isCapture(head: Buffer): boolean {
  const kind = archiveKind(head);
  if (kind === 'gzip')
    return isCapture(
      gunzipSync(head, { finishFlush: flush.Z_SYNC_FLUSH, maxOutputLength: MOST_UNPACKED }),
    );
  if (kind !== 'tar') return false;
  return TOP.test(head.toString('latin1', 0, 100).replace(/\0.*$/s, ''));
}

/** What a file that begins so holds: a dump of a kernel. */
export function looksLikeDump(head: Buffer): boolean {
  const text = head.toString('latin1');
  return (
    text.startsWith('\x7fELF') || text.startsWith('KDUMP   ') || text.startsWith('makedumpfile')
  );
}
