import { spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  createReadStream,
  type Dirent,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { HostError } from '../error.js';
import { TarReader } from './tar.js';

/** Of one file, and of all together, no more than this is read. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;
const MAX_BYTES = 256 * 1024 * 1024;
const MAX_ENTRIES = 200_000;
const MAX_DEPTH = 12;

/** What a capture or a sosreport holds that is of use here: path below its top directory → text. */
export type CapturedFiles = ReadonlyMap<string, string>;

const WANTED =
  /^(?:version|taken|unknown-tables|hostname|proc\/(?:meminfo|slabinfo|buddyinfo|self\/mountinfo|net\/sockstat|sys\/kernel\/\w+|sys\/net\/(?:core|ipv4)\/\w+)|sample-\d\/(?:\w+|netns-\d+\/(?:\w+|net\/\w+))|sos_commands\/(?:networking\/.*ss_-\w+|host\/hostname.*|kernel\/uname.*|kernel\/sysctl_-a|memory\/.*meminfo))$/;

/**
 * The files of a directory or of a tar archive (plain, gzip; xz and zstd by their own commands).
 * Throws `HostError`: `gone`, `denied`, `unreadable`.
 */
export async function readCapture(path: string): Promise<CapturedFiles> {
  const files = new Map<string, string>();
  let taken = 0;
  const add = (name: string, bytes: Buffer) => {
    const inner = innerName(name);
    if (inner === null) return;
    taken += bytes.length;
    if (taken > MAX_BYTES)
      throw new HostError(
        'not-a-capture',
        'what skcheck reads of the capture is larger than 256 MiB',
      );
    files.set(inner, bytes.toString('utf8'));
  };
  if (isDirectory(path)) readDirectory(path, '', 0, { left: MAX_ENTRIES }, add);
  else
    await readArchive(
      path,
      new TarReader((name) => (innerName(name) === null ? 0 : MAX_FILE_BYTES), add),
    );
  if (files.size === 0)
    throw new HostError('not-a-capture', `${path} holds nothing that skcheck knows how to read`);
  return files;
}

/** The name below the top directory (`skcheck-capture/`, `sosreport-…/`), null when not wanted. */
function innerName(name: string): string | null {
  const plain = name.replace(/^(?:\.?\/)+/, '');
  if (WANTED.test(plain)) return plain;
  const below = plain.slice(plain.indexOf('/') + 1);
  return WANTED.test(below) ? below : null;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

/** Links are not followed: they may lead out of the capture, to files of this host. */
function readDirectory(
  root: string,
  inside: string,
  depth: number,
  budget: { left: number },
  add: (name: string, bytes: Buffer) => void,
): void {
  for (const entry of entriesOf(join(root, inside))) {
    if (--budget.left < 0) throw new HostError('not-a-capture', `${root} has too many files`);
    const name = inside === '' ? entry.name : `${inside}/${entry.name}`;
    if (entry.isDirectory() && depth < MAX_DEPTH) readDirectory(root, name, depth + 1, budget, add);
    else if (entry.isFile() && innerName(name) !== null) add(name, readSome(join(root, name)));
  }
}

function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

/** The beginning of a file, no more than so many bytes; never of a fifo or a device. */
function readSome(path: string, most = MAX_FILE_BYTES): Buffer {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(file);
      if (!stat.isFile())
        throw new HostError('not-a-capture', `${path} is neither a file nor a directory`);
      const bytes = Buffer.alloc(Math.min(stat.size, most));
      return bytes.subarray(0, readSync(file, bytes));
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

async function readArchive(path: string, reader: TarReader): Promise<void> {
  const sink = async (pieces: AsyncIterable<Buffer>) => {
    for await (const piece of pieces) {
      reader.push(piece);
      if (reader.ended) break;
    }
    reader.end();
  };
  const head = readSome(path, 4).toString('hex');
  try {
    if (head.startsWith('1f8b')) await pipeline(createReadStream(path), createGunzip(), sink);
    else if (head.startsWith('fd377a58')) await unpack('xz', path, sink);
    else if (head.startsWith('28b52ffd')) await unpack('zstd', path, sink);
    else await pipeline(createReadStream(path), sink);
  } catch (cause) {
    // What follows the end was not waited for.
    if (!(reader.ended && cause instanceof Error && cause.name === 'AbortError'))
      throw asHostError(path, cause);
  }
}

async function unpack(
  command: string,
  path: string,
  sink: (pieces: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const child = spawn(command, ['-dc', '--', path], { stdio: ['ignore', 'pipe', 'ignore'] });
  const started = new Promise<never>((_, reject) => {
    child.on('error', () => reject(new HostError('not-a-capture', `${command} is not installed`)));
  });
  await Promise.race([pipeline(child.stdout, sink), started]);
}

function asHostError(path: string, cause: unknown): unknown {
  if (cause instanceof HostError || !(cause instanceof Error) || !('code' in cause)) return cause;
  if (cause.code === 'ENOENT')
    return new HostError('not-a-capture', `${path} is not there`, { cause });
  if (cause.code === 'EACCES') return new HostError('denied', `${path} may not be read`, { cause });
  return new HostError('not-a-capture', `${path} cannot be read (${String(cause.code)})`, {
    cause,
  });
}
