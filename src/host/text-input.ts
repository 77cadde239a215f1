import { createReadStream, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { HostError } from '../base/errors.js';
import { ENTRY_HEAD, entryLines } from '../log/entries.js';
import { LogFormat } from '../log/format.js';
import { decompressed, peeked } from './decompress.js';
import { CAPTURE_LIMIT, compressionOf, LimitedStream, looksLikeDump, type UnpackLimit } from './recognise.js';

/** Name that stands for standard input. */
export const STDIN = '-';

const HEAD = 4096;
const PART = 1 << 20;
const ZEROS = Buffer.alloc(PART);

/**
 * Whether a file is text, compressed or not; a dump is not. Errors are reported when it is opened.
 *
 * @param content its bytes, if it is a member of an archive
 */
export async function isText(path: string, content?: Buffer): Promise<boolean> {
  if (path === STDIN) return true;
  if (!content && statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
  try {
    for await (const part of openText(path, { content })) return looksLikeText(part.subarray(0, HEAD));
  } catch {
    // The content type is unknown.
  }
  return false;
}

/** Logs contain blocks of zeros after a machine crash, and on serial consoles. */
function looksLikeText(head: Buffer): boolean {
  if (!head.includes(0)) return true;
  // A tar archive of logs has a header before each of them.
  if (looksLikeDump(head) || head.toString('latin1', 257, 262) === 'ustar') return false;
  const { form, looksLikeKernel } = new LogFormat().sniff(head.toString('latin1'));
  return form !== undefined || looksLikeKernel;
}

/**
 * The bytes of a text in UTF-8, decompressed, in pieces.
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
    const { head, all } = await peeked(input, ENTRY_HEAD);
    const compression = compressionOf(head);
    if (compression === null) return yield* asLines(all);
    const limited = new LimitedStream(limit);
    yield* asLines(limited.of(decompressed(path, all, compression)));
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
  const chunks = async function* () {
    for await (const part of process.stdin.iterator({ destroyOnReturn: false })) {
      parts.push(part);
      yield part as Buffer;
    }
  };
  const bytes = await firstBytes(chunks(), held);
  if (bytes === undefined) process.stdin.unshift(Buffer.concat(parts));
  return bytes;
}

/** Converts entries over several lines to lines of JSON; passes everything else through. */
async function* asLines(text: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const { head, all } = await peeked(asUtf8(text), ENTRY_HEAD);
  yield* entryLines(head.toString('latin1', 0, ENTRY_HEAD), all) ?? all;
}

/** Decodes UTF-16 with a byte order mark: what `>` of PowerShell writes. */
async function* asUtf8(text: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const { head, all } = await peeked(text, 2);
  const encoding = utf16Of(head);
  if (encoding === undefined) return yield* all;
  const decoder = new TextDecoder(encoding);
  for await (const part of all) yield Buffer.from(decoder.decode(part, { stream: true }));
  yield Buffer.from(decoder.decode());
}

/** The encoding that a byte order mark tells. */
export function utf16Of([first, second]: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : undefined;
}
