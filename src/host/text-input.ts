import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { HostError } from '../base/errors.js';
import { programPath, safePath } from '../base/shell.js';
import { ENTRY_HEAD, entryLines } from '../log/entries.js';
import { LogFormat } from '../log/format.js';
import { CAPTURE_LIMIT, LimitedStream, looksLikeDump, type UnpackLimit } from './recognise.js';

/** Name that stands for standard input. */
export const STDIN = '-';

/** Magic numbers of compressed files, and the program that decompresses them if Node cannot. */
const COMPRESSED = [
  { magic: [0x1f, 0x8b], program: undefined },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], program: 'zstd' },
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], program: 'xz' },
  { magic: [0x42, 0x5a, 0x68], program: 'bzip2' },
] as const;

const HEAD = 4096;
const PART = 1 << 20;
const ZEROS = Buffer.alloc(PART);

/** Whether a file is text, compressed or not; a dump is not. Errors are reported when it is opened. */
export async function isText(path: string): Promise<boolean> {
  if (path === STDIN) return true;
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
  try {
    for await (const part of openText(path)) return looksLikeText(part.subarray(0, HEAD));
  } catch {
    // The content type is unknown.
  }
  return false;
}

/** Logs contain blocks of zeros after a machine crash, and on serial consoles. */
function looksLikeText(head: Buffer): boolean {
  if (!head.includes(0)) return true;
  if (looksLikeDump(head)) return false;
  const { form, looksLikeKernel } = new LogFormat().sniff(head.toString('latin1'));
  return form !== undefined || looksLikeKernel;
}

/**
 * The bytes of a text, decompressed, in pieces.
 *
 * @param content bytes of a file that is a member of an archive
 * @param limit limit on decompression, and on holes of a sparse file, which may have terabytes
 * @throws {HostError} `denied`, `unreadable`
 */
export async function* openText(
  path: string,
  { content, limit = CAPTURE_LIMIT }: { content?: Buffer | undefined; limit?: UnpackLimit } = {},
): AsyncGenerator<Buffer> {
  const input = content ? Readable.from([content]) : path === STDIN ? process.stdin : withoutZeros(path, limit.bytes);
  try {
    const { head, all } = await peeked(input);
    const kind = COMPRESSED.find(({ magic }) => magic.every((byte, at) => head[at] === byte));
    if (kind === undefined) return yield* asLines(all);
    const limited = new LimitedStream(limit);
    const unpacked = kind.program ? decompressed(path, all, kind.program) : gunzipped(all);
    yield* asLines(limited.of(unpacked));
    if (limited.exceeded === null) return;
    const next = 'Decompress it first: a plain file has no limit.';
    const why = `${path}: incomplete (reading stopped after ${limited.exceeded})`;
    throw new HostError('unreadable', why, { next });
  } catch (error) {
    if (error instanceof HostError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    const code = /EACCES|EPERM/.test(why) ? 'denied' : 'unreadable';
    throw new HostError(code, `${path}: cannot be read (${why})`);
  }
}

/** The pieces of a file, the first and those that are not zero. @throws {HostError} `unreadable`: too many holes */
async function* withoutZeros(path: string, most: number): AsyncGenerator<Buffer> {
  let [read, zeros] = [0, 0];
  for await (const part of createReadStream(path, { highWaterMark: PART }) as AsyncIterable<Buffer>) {
    const isZero = read > 0 && part.equals(ZEROS.subarray(0, part.length));
    read += part.length;
    if (!isZero) yield part;
    else zeros += part.length;
    if (zeros <= most) continue;
    const { size, blocks } = statSync(path);
    if (blocks * 512 >= size) continue;
    const why = `${path}: incomplete (reading stopped after ${(zeros / 2 ** 30).toFixed(1)} GiB of holes)`;
    throw new HostError('unreadable', why, { next: 'It is a sparse file: copy what it contains.' });
  }
}

/** How much of a text to read into memory. */
export interface HeldText {
  /** A text that is longer than this is judged by its beginning. */
  readonly judged: number;
  readonly isOther: (head: Buffer) => boolean;
  readonly most: number;
}

/** Bytes of a text up to a maximum; undefined: it is one that is read in pieces. */
export async function firstBytes(
  text: AsyncIterable<Buffer>,
  { judged, isOther, most }: HeldText,
): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let [read, isJudged] = [0, false];
  for await (const part of text) {
    parts.push(part);
    read += part.length;
    if (!isJudged && read > judged) {
      isJudged = true;
      if (isOther(Buffer.concat(parts))) return undefined;
    }
    if (read >= most) break;
  }
  return Buffer.concat(parts).subarray(0, most);
}

/** Returns standard input as {@link firstBytes} does; undefined: {@link STDIN} can be read from its beginning on. */
export async function heldInput(held: HeldText): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  const each = async function* () {
    for await (const part of process.stdin.iterator({ destroyOnReturn: false })) {
      parts.push(part);
      yield part as Buffer;
    }
  };
  const bytes = await firstBytes(each(), held);
  if (bytes === undefined) process.stdin.unshift(Buffer.concat(parts));
  return bytes;
}

/** Converts entries over several lines to lines of JSON; passes everything else through. */
async function* asLines(text: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const { head, all } = await peeked(text);
  yield* entryLines(head.toString('latin1', 0, ENTRY_HEAD), all) ?? all;
}

/** Returns the first bytes of a stream, and the whole stream. */
async function peeked(
  stream: Readable | AsyncGenerator<Buffer>,
): Promise<{ readonly head: Buffer; readonly all: AsyncGenerator<Buffer> }> {
  const parts = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < ENTRY_HEAD) {
    const { done, value } = await parts.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const all = async function* () {
    try {
      if (head.length > 0) yield head;
      yield* { [Symbol.asyncIterator]: () => parts };
    } finally {
      if (stream instanceof Readable) stream.destroy();
    }
  };
  return { head, all: all() };
}

async function* gunzipped(packed: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const unpack = createGunzip({ chunkSize: PART });
  const fed = pipeline(packed, unpack).catch(() => undefined);
  yield* unpack;
  await fed;
}

async function* decompressed(path: string, packed: AsyncGenerator<Buffer>, program: string): AsyncGenerator<Buffer> {
  const command = programPath(program);
  if (command === undefined)
    throw new HostError('unreadable', `${path}: compressed file (${program} is not installed)`);
  const child = spawn(command, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, PATH: safePath() } });
  const closed = once(child, 'close');
  let complaint = '';
  child.stderr.on('data', (part: Buffer) => {
    if (complaint.length < HEAD) complaint += part.toString();
  });
  child.on('error', (error) => child.stdout.destroy(error));
  let fault: unknown;
  // A program that exits early reports its own error.
  const fed = pipeline(packed, child.stdin).catch((error: unknown) => {
    fault = error;
  });
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const [status] = await closed;
    await fed;
    if (fault instanceof HostError) throw fault;
    if (status !== 0) throw new HostError('unreadable', `${path}: corrupt (${complaint.trim()})`);
  } finally {
    child.kill();
  }
}
