import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { attempt, HostError, isHostError } from '../../base/errors.js';
import { CAPTURE_LIMIT, compressionOf, LimitedStream, type UnpackLimit } from '../../host/recognise.js';
import { MAX_PROCESS_BYTES } from '../read/contents.js';
import { type CapturedFile, type CaptureFault, checkManifest, fault, MANIFEST } from '../read/manifest.js';
import { cksum, TarReader } from '../read/tar.js';

export interface Verified {
  /** Number of files besides the manifest. */
  readonly files: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Host files that could not be read when it was taken (the archive's file `errors`). */
  readonly unread: number;
  /** Problems found. Empty: the archive is as it was written. */
  readonly faults: readonly CaptureFault[];
}

/** Maximum size of a file in a snapshot: each file is held in memory for its checksum. */
const MAX_FILE = MAX_PROCESS_BYTES;
const MAX_TOTAL = 2 ** 31;
const MAX_FILES = 200_000;

/**
 * Verifies an archive against its manifest.
 *
 * @throws {HostError} `gone`, `denied`, `unreadable`: the file does not exist or cannot be read
 */
export async function verifySnapshot(path: string, limit: UnpackLimit = CAPTURE_LIMIT): Promise<Verified> {
  const isPacked = await beginsAsGzip(path);
  const entries = new Map<string, CapturedFile>();
  let manifest: string | undefined;
  let unread = 0;
  let bytes = 0;
  const reader = new TarReader(
    () => MAX_FILE,
    (name, content, size) => {
      bytes += content.length;
      if (bytes > MAX_TOTAL || entries.size >= MAX_FILES)
        throw new HostError('not-a-capture', 'it is too large for a snapshot');
      const inner = name.slice(name.indexOf('/') + 1);
      const times = (entries.get(inner)?.times ?? 0) + 1;
      entries.set(inner, { size, read: content.length, sum: cksum(content), times });
      if (inner === MANIFEST) manifest = content.toString('utf8');
      if (inner === 'errors') unread = unreadIn(content.toString('utf8'));
    },
  );
  const faults: CaptureFault[] = [];
  /** Kept separately: a pipeline reports that its first stage was aborted instead. */
  let tooLarge: HostError | undefined;
  try {
    const sink = async (pieces: AsyncIterable<Buffer>) => {
      const limited = new LimitedStream(limit);
      for await (const piece of limited.of(pieces)) reader.push(piece);
      if (limited.exceeded !== null && !reader.isComplete) {
        const message = `it is too large for a snapshot (${limited.exceeded})`;
        tooLarge = new HostError('not-a-capture', message);
        return;
      }
      reader.end();
    };
    const file = createReadStream(path);
    await (isPacked ? pipeline(file, createGunzip(), sink) : pipeline(file, sink));
  } catch (cause) {
    if (tooLarge === undefined) faults.push(faultOf(cause));
  }
  if (tooLarge) faults.push(faultOf(tooLarge));
  for (const [name, { size, read, times }] of entries) {
    if (read < size) faults.push(fault('file-too-large', name));
    if (times > 1) faults.push(fault('file-twice', name));
  }
  if (manifest === undefined) faults.push(fault('manifest-missing'));
  else faults.push(...checkManifest(manifest, entries, () => true));
  return { files: entries.size - (manifest === undefined ? 0 : 1), bytes, unread, faults };
}

/** Lines of the file `errors` (path, code, words) that mean missing data. */
function unreadIn(errors: string): number {
  return [...errors.matchAll(/^[^\t\n]*\t(?:denied|unreadable|cut)\t/gm)].length;
}

async function beginsAsGzip(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'r');
    try {
      if (!(await file.stat()).isFile()) throw new HostError('unreadable', `${path}: not a regular file`);
      const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
      return compressionOf(buffer) === 'gzip';
    } finally {
      await file.close();
    }
  } catch (cause) {
    try {
      return attempt(path, () => {
        throw cause;
      });
    } catch (error) {
      if (!isHostError(error, 'gone', 'unreadable')) throw error;
      throw new HostError(error.code, error.message, { cause, next: NAME_ONE });
    }
  }
}

const NAME_ONE = 'Name an archive written by kdump-mem snapshot or skcheck --capture.';

function faultOf(cause: unknown): CaptureFault {
  if (cause instanceof HostError) return fault('archive-damaged', undefined, cause.message);
  const { code, message } = cause as NodeJS.ErrnoException;
  return code === 'Z_BUF_ERROR' || code === 'Z_DATA_ERROR'
    ? fault('archive-damaged')
    : fault('archive-unreadable', undefined, `the archive cannot be read (${code ?? message})`);
}
