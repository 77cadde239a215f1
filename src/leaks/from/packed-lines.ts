import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ExecaError, execa } from 'execa';
import { attempt, HostError } from '../../base/errors.js';
import { safePath } from '../../base/shell.js';
import { LineCutter } from '../../host/lines.js';
import { compressionOf, LimitedStream, type UnpackLimit } from '../../host/recognise.js';

/**
 * Limit of a compressed file: events of one hour of a busy machine. An uncompressed file is limited by its
 * own size.
 */
const USUAL_LIMIT: UnpackLimit = { bytes: 16 * 2 ** 30, seconds: 600 };

/** Size of a piece of a file: its lines are strings until they are parsed. */
const PIECE_BYTES = 16_384;

const RETURN = 0x0d;

/**
 * The lines of a user's file, compressed with gzip, xz or zstd or not, piece by piece. A last line without a
 * newline is left out: an interrupted copy may end within a number.
 *
 * @param onCut is called if there was such a line, or if the limit stopped reading
 * @throws {HostError} `gone`, `denied`, `unreadable`
 */
export async function* packedLines(
  path: string,
  onCut: () => void = () => {},
  limit: UnpackLimit = USUAL_LIMIT,
): AsyncGenerator<string[]> {
  if (!attempt(path, () => statSync(path)).isFile()) throw new HostError('unreadable', `${path}: not a file`);
  let lines: string[] = [];
  const limited = new LimitedStream(limit);
  const cutter = new LineCutter((bytes, from, to) => {
    // Mail and other systems end lines with CR LF.
    const end = to > from && bytes[to - 1] === RETURN ? to - 1 : to;
    lines.push(bytes.toString('utf8', from, end));
  });
  try {
    for await (const piece of unpacked(path, limited)) {
      cutter.push(piece);
      if (cutter.overlong > 0) throw new HostError('unreadable', `${path}: lines are too long`);
      yield lines;
      lines = [];
    }
  } catch (cause) {
    if (cause instanceof HostError) throw cause;
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new HostError('unreadable', `${path} cannot be read: ${why}`, { cause });
  }
  if (cutter.endsWithinLine || limited.exceeded !== null) onCut();
}

async function* unpacked(path: string, limited: LimitedStream): AsyncGenerator<Buffer> {
  const compression = compressionOf(beginning(path));
  if (compression === 'gzip') yield* limited.of(createReadStream(path).pipe(createGunzip()) as AsyncIterable<Buffer>);
  else if (compression !== null) yield* limited.of(unpackedBy(compression, path));
  else yield* createReadStream(path, { highWaterMark: PIECE_BYTES });
}

async function* unpackedBy(command: string, path: string): AsyncGenerator<Buffer> {
  const child = execa(command, ['-dc', '--', path], {
    stdin: 'ignore',
    stderr: 'ignore',
    buffer: false,
    encoding: 'buffer',
    env: { PATH: safePath() },
  });
  // The caller stops it after reading enough: this is no failure.
  child.catch(() => {});
  try {
    yield* child.stdout as Readable;
    await child;
  } catch (cause) {
    if (!(cause instanceof ExecaError)) throw cause;
    if (cause.code === 'ENOENT')
      throw new HostError('unreadable', `${path}: compressed with ${command}, which is not installed`, {
        cause,
        next: `Install ${command === 'xz' ? 'xz-utils' : command}, or decompress the file first.`,
      });
    const why = 'truncated or corrupt';
    throw new HostError('unreadable', `${path}: ${command} cannot decompress it (${why})`, { cause });
  } finally {
    child.kill();
  }
}

function beginning(path: string): Buffer {
  return attempt(path, () => {
    const file = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(8);
      return bytes.subarray(0, readSync(file, bytes));
    } finally {
      closeSync(file);
    }
  });
}
