import * as fs from 'node:fs';
import { join } from 'node:path';
import { ExhaustedError, errorCode, exhaustionOf, HostError, KernelError, openError } from '../../base/errors.js';
import { formatSize } from '../../base/size.js';
import { decompressed, peeked } from '../../host/decompress.js';
import { compressionOf, isTar, looksLikeDump } from '../../host/recognise.js';
import { TarReader } from './tar.js';

/** A tar header, which also contains the magic number of tar. */
const HEAD = 512;
const PART = 1 << 20;
/** Blocks of zeros of this size become holes. */
const BLOCK = 64 << 10;
const ZEROS = Buffer.alloc(BLOCK);

/** Maximum size of an unpacked dump: no machine has as much memory. */
const MAX_BYTES = 64 * 2 ** 40;
/** Bytes to leave free in the folder, and bytes between two checks of them. */
const LEFT_FREE = 256 << 20;
const CHECKED_EVERY = 64 << 20;

/**
 * Unpacks a compressed dump, or the only dump in a tar archive, into a file without a name: the kernel removes it
 * however this process ends.
 *
 * @param onProgress called with the part of the packed file that was read, 0 to 1
 * @returns the descriptor of the unpacked dump
 * @throws {KernelError} `damaged`, `no-room`, `not-a-dump`, `unsupported-format`, and those of opening the file
 */
export async function unpackedDump(path: string, onProgress: (part: number) => void): Promise<number> {
  const head = headOf(path);
  const compression = compressionOf(head);
  const file = new SparseFile(path);
  try {
    const packed = packedBytes(path, onProgress);
    const all = await peeked(compression === null ? packed : decompressed(path, packed, compression), HEAD);
    if (isTar(all.head)) await onlyDump(path, all.all, file);
    else if (!looksLikeDump(all.head)) throw new KernelError('not-a-dump', `${path}: compressed file without a dump`);
    else for await (const piece of all.all) file.write(piece);
    return file.finish();
  } catch (error) {
    file.close();
    throw asKernelError(path, error);
  }
}

function headOf(path: string): Buffer {
  let file: number;
  try {
    file = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (cause) {
    throw openError(path, cause, 'not-a-dump');
  }
  try {
    const head = Buffer.alloc(HEAD);
    return fs.fstatSync(file).isFile() ? head.subarray(0, fs.readSync(file, head, 0, HEAD, 0)) : Buffer.alloc(0);
  } finally {
    fs.closeSync(file);
  }
}

async function* packedBytes(path: string, onProgress: (part: number) => void): AsyncGenerator<Buffer> {
  const { size } = fs.statSync(path);
  let read = 0;
  for await (const part of fs.createReadStream(path, { highWaterMark: PART }) as AsyncIterable<Buffer>) {
    read += part.length;
    onProgress(read / size);
    yield part;
  }
}

/** Writes the only dump of an archive to a file. @throws {KernelError} none, or several */
async function onlyDump(path: string, archive: AsyncGenerator<Buffer>, file: SparseFile): Promise<void> {
  const dumps: string[] = [];
  const reader = new TarReader(
    () => null,
    () => undefined,
    () => undefined,
    (name) => {
      let isDump: boolean | undefined;
      let begin = Buffer.alloc(0);
      return (piece) => {
        if (isDump === undefined) {
          begin = Buffer.concat([begin, piece]);
          if (begin.length < MAGIC) return;
          isDump = looksLikeDump(begin);
          if (isDump) dumps.push(name);
          piece = begin;
        }
        if (isDump && dumps.length === 1) file.write(piece);
      };
    },
  );
  for await (const piece of archive) {
    reader.push(piece);
    if (reader.isComplete) break;
  }
  reader.end();
  if (dumps.length === 1) return;
  const named = dumps.slice(0, MAX_NAMED).join(', ');
  const why = dumps.length === 0 ? 'no dump in the archive' : `${dumps.length} dumps in the archive (${named})`;
  const next = `Unpack it, and name the dump.${dumps.length === 0 ? ' --from reads an archive of outputs or logs.' : ''}`;
  throw new KernelError('not-a-dump', `${path}: ${why}`, { next });
}

/** Bytes that show whether a member is a dump. */
const MAGIC = 16;
const MAX_NAMED = 6;

/** Not /tmp, which is memory on many machines. */
const FOLDER = process.env.TMPDIR || '/var/tmp';

/** A temporary file without a name, whose zeros take no space. */
class SparseFile {
  readonly #path: string;
  readonly #fd: number;
  #size = 0;
  #unchecked = CHECKED_EVERY;

  /** @param path the packed file, for messages */
  constructor(path: string) {
    this.#path = path;
    const name = join(FOLDER, `kdump-mem-${process.pid}-${performance.now()}`);
    try {
      this.#fd = fs.openSync(name, 'wx+', 0o600);
      fs.unlinkSync(name);
    } catch (cause) {
      throw noRoom(path, errorCode(cause), cause);
    }
  }

  write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += BLOCK) {
      const block = bytes.subarray(at, at + BLOCK);
      if (block.equals(ZEROS.subarray(0, block.length))) continue;
      let done = 0;
      while (done < block.length) {
        try {
          done += fs.writeSync(this.#fd, block, done, block.length - done, this.#size + at + done);
        } catch (cause) {
          throw noRoom(this.#path, errorCode(cause), cause);
        }
      }
      this.#unchecked += block.length;
    }
    this.#size += bytes.length;
    if (this.#size > MAX_BYTES) throw noRoom(this.#path, `more than ${formatSize(MAX_BYTES)}`);
    if (this.#unchecked < CHECKED_EVERY) return;
    this.#unchecked = 0;
    const { bavail, bsize } = fs.statfsSync(FOLDER);
    if (bavail * bsize < LEFT_FREE) throw noRoom(this.#path, `${formatSize(bavail * bsize)} left`);
  }

  /** Returns the descriptor. */
  finish(): number {
    fs.ftruncateSync(this.#fd, this.#size);
    return this.#fd;
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

const COPY = 'Copy the file again.';

function noRoom(path: string, why: string, cause?: unknown): KernelError {
  return new KernelError('no-room', `${path}: cannot be unpacked into ${FOLDER} (${why})`, { cause });
}

function asKernelError(path: string, error: unknown): unknown {
  if (error instanceof KernelError || error instanceof ExhaustedError) return error;
  const lacking = exhaustionOf(error);
  if (lacking !== undefined) return new ExhaustedError(`${path}: ${lacking}`, { cause: error });
  if (error instanceof HostError) {
    // The archive's errors do not name it.
    const message = error.code === 'not-a-capture' ? `${path}: ${error.message}` : error.message;
    return error.code === 'gone'
      ? new KernelError('unsupported-format', message, {
          cause: error,
          next: 'Install it, or decompress the dump first.',
        })
      : new KernelError('damaged', message, { cause: error, next: COPY });
  }
  const code = errorCode(error);
  if (code.startsWith('Z_')) {
    const message = `${path}: corrupt (${(error as Error).message})`;
    return new KernelError('damaged', message, { cause: error, next: COPY });
  }
  return error instanceof Error && 'code' in error ? openError(path, error, 'damaged') : error;
}
