import {
  accessSync,
  closeSync,
  constants,
  createReadStream,
  type Dirent,
  fstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { HostError } from '../../base/errors.js';
import { shellPath } from '../../base/shell.js';
import { asExhausted, startGroup } from '../../host/child.js';
import {
  type Compression,
  compressionOf,
  LimitedStream,
  looksLikeDump,
  type UnpackLimit,
} from '../../host/recognise.js';
import type { TarReader } from './tar.js';

const MAX_DEPTH = 12;

export function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

/** Symlinks are recorded but not opened: they may point outside the capture, to files of this host. */
export function readDirectory(
  root: string,
  inside: string,
  depth: number,
  budget: {
    left: number;
    readonly room: (name: string) => number | null;
    /** @returns whether its path is sufficient */
    readonly addPath: (name: string, path: string) => boolean;
  },
  add: (name: string, bytes: Buffer, size: number) => void,
  addLink: (name: string, target: string) => void,
): void {
  for (const entry of entriesOf(join(root, inside))) {
    if (--budget.left < 0) throw new HostError('not-a-capture', `${root} has too many files`);
    const name = inside === '' ? entry.name : `${inside}/${entry.name}`;
    if (entry.isDirectory() && depth < MAX_DEPTH) readDirectory(root, name, depth + 1, budget, add, addLink);
    else if (entry.isSymbolicLink()) addLink(name, targetOf(join(root, name)));
    else if (entry.isFile()) {
      if (budget.addPath(name, join(root, name))) continue;
      const room = budget.room(name);
      if (room === null) continue;
      const { bytes, size } = readSome(join(root, name), room);
      add(name, bytes, size);
    }
  }
}

export function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function targetOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

export function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

/** Reads the beginning of a file, up to a maximum; never of a fifo or a device. */
function readSome(path: string, maximum: number): { bytes: Buffer; size: number } {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(file);
      if (!stat.isFile()) throw new HostError('not-a-capture', `${path} is neither a file nor a directory`);
      const bytes = Buffer.alloc(Math.min(stat.size, maximum));
      let read = 0;
      for (let count = 1; count > 0 && read < bytes.length; read += count)
        count = readSync(file, bytes, read, bytes.length - read, read);
      return { bytes: bytes.subarray(0, read), size: stat.size };
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

/** @returns the limit at which reading stopped; null: it was read to its end */
export async function readArchive(path: string, reader: TarReader, limit: UnpackLimit): Promise<string | null> {
  const limited = new LimitedStream(limit);
  /** Why reading stopped. Kept separately: a pipeline reports that its first stage was aborted instead. */
  let refusal: HostError | undefined;
  const sink = async (pieces: AsyncIterable<Buffer>) => {
    try {
      for await (const piece of limited.of(pieces)) {
        reader.push(piece);
        if (reader.isComplete) break;
      }
      if (limited.exceeded === null) reader.end();
    } catch (cause) {
      if (cause instanceof HostError) refusal = cause;
      throw cause;
    }
  };
  const begin = readSome(path, 16).bytes;
  if (looksLikeDump(begin))
    throw new HostError('not-a-capture', `${path} is a kernel dump, not a capture`, {
      next: `Read it with: kdump-mem memory --vmcore ${shellPath(path)}`,
    });
  const compression = compressionOf(begin);
  try {
    if (compression === 'gzip') await pipeline(createReadStream(path), createGunzip(), sink);
    else if (compression !== null) await unpack(compression, path, sink);
    else await pipeline(createReadStream(path), sink);
  } catch (cause) {
    if (refusal) throw refusal;
    // Data after the end, or the limit, was not awaited.
    if (!((reader.isComplete || limited.exceeded !== null) && cause instanceof Error && cause.name === 'AbortError'))
      throw asHostError(path, cause);
  }
  return reader.isComplete ? null : limited.exceeded;
}

async function unpack(
  command: Compression,
  path: string,
  sink: (pieces: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const child = startGroup(command, ['-dc', '--', path], { stdio: ['ignore', 'pipe', 'ignore'] });
  const started = new Promise<never>((_, reject) => {
    child.on('error', (cause) =>
      reject(asExhausted(command, cause) ?? new HostError('not-a-capture', `${command} is not installed`, { cause })),
    );
  });
  if (child.stdout) await Promise.race([pipeline(child.stdout, sink), started]);
}

function asHostError(path: string, cause: unknown): unknown {
  if (cause instanceof HostError || !(cause instanceof Error) || !('code' in cause)) return cause;
  if (cause.code === 'ENOENT') return new HostError('not-a-capture', `${path}: not found`, { cause });
  if (cause.code === 'EACCES') return new HostError('denied', `${path}: permission denied`, { cause });
  return new HostError('not-a-capture', `${path}: read failed (${String(cause.code)})`, { cause });
}
