import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { attempt, HostError, isHostError } from '../../base/errors/host.js';
import { archiveKind } from '../../host/recognise.js';
import { CAPTURE_LIMIT, LimitedPieces, type UnpackLimit } from '../../host/unpack-limit.js';
import { cksum } from '../read/cksum.js';
import { MOST_PROCESS_BYTES } from '../read/contents.js';
import {
  type CapturedFile,
  type CaptureFault,
  checkManifest,
  fault,
  MANIFEST,
} from '../read/manifest.js';
import { TarReader } from '../read/tar.js';

/** Whether a snapshot is what was written. */
export interface Verified {
  /** Files besides the manifest. */
  readonly files: number;
  /** Bytes of them. */
  readonly bytes: number;
  /** What is wrong with it. Nothing: it is whole. */
  readonly faults: readonly CaptureFault[];
}

/** A file of a snapshot is not larger: a file is summed as a whole. */
const MOST_FILE = MOST_PROCESS_BYTES;
const MOST_TOTAL = 2 ** 31;
const MOST_FILES = 200_000;

/**
 * Holds an archive against its manifest.
 *
 * @throws {HostError} `gone`, `denied`, `unreadable`: there is no such file, or it may not be read
 */
export async function verifySnapshot(
  path: string,
  limit: UnpackLimit = CAPTURE_LIMIT,
): Promise<Verified> {
  const isPacked = await beginsAsGzip(path);
  const seen = new Map<string, CapturedFile>();
  let manifest: string | undefined;
  let bytes = 0;
  const reader = new TarReader(
    () => MOST_FILE,
    (name, content, size) => {
      bytes += content.length;
      if (bytes > MOST_TOTAL || seen.size >= MOST_FILES)
        throw new HostError('not-a-capture', 'it is too large for a snapshot');
      const inner = name.slice(name.indexOf('/') + 1);
      const times = (seen.get(inner)?.times ?? 0) + 1;
      seen.set(inner, { size, read: content.length, sum: cksum(content), times });
      if (inner === MANIFEST) manifest = content.toString('utf8');
    },
  );
  const faults: CaptureFault[] = [];
  /** A pipeline reports in its place that its first stage was aborted. */
  let tooLarge: HostError | undefined;
  try {
    const sink = async (pieces: AsyncIterable<Buffer>) => {
      const limited = new LimitedPieces(limit);
      for await (const piece of limited.of(pieces)) reader.push(piece);
      if (limited.met !== null && !reader.ended) {
        const message = `it is too large for a snapshot (${limited.met})`;
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
  for (const [name, { size, read, times }] of seen) {
    if (read < size) faults.push(fault('file-too-large', name));
    if (times > 1) faults.push(fault('file-twice', name));
  }
  if (manifest === undefined) faults.push(fault('manifest-missing'));
  else faults.push(...checkManifest(manifest, seen, () => true));
  return { files: seen.size - (manifest === undefined ? 0 : 1), bytes, faults };
}

async function beginsAsGzip(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'r');
    try {
      if (!(await file.stat()).isFile())
        throw new HostError('unreadable', `${path}: not a regular file`);
      const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
      return archiveKind(buffer) === 'gzip';
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
