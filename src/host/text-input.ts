import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { programPath, safePath } from '../program-path.js';
import { HostError } from './error.js';

/** Standard input, where a file is named. */
export const STDIN = '-';

/** How compressed files begin, and the program that reads them where Node does not. */
const COMPRESSED = [
  { name: 'gzip', magic: [0x1f, 0x8b], program: undefined },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], program: 'zstd' },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], program: 'xz' },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68], program: 'bzip2' },
] as const;

const HEAD = 4096;
const PART = 1 << 20;

/** Whether a file is text, compressed or not; a dump is not. Errors are left to whoever opens it. */
export async function isText(path: string): Promise<boolean> {
  if (path === STDIN) return true;
  const head = headOf(path);
  if (head === undefined || head.length === 0) return false;
  if (compressionOf(head) === undefined) return !head.includes(0);
  try {
    for await (const part of openText(path)) return !part.subarray(0, HEAD).includes(0);
  } catch {
    // What it is cannot be told.
  }
  return false;
}

/**
 * The bytes of a text, uncompressed, part by part.
 *
 * @throws {HostError} `denied`, `unreadable`
 */
export async function* openText(path: string): AsyncGenerator<Buffer> {
  const input = path === STDIN ? process.stdin : createReadStream(path, { highWaterMark: PART });
  const kind = path === STDIN ? undefined : compressionOf(headOf(path) ?? Buffer.alloc(0));
  try {
    if (kind?.program === undefined)
      yield* parts(kind ? input.on('error', () => undefined).pipe(createGunzip()) : input);
    else yield* decompressed(path, kind.program);
  } catch (error) {
    if (error instanceof HostError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    const code = /EACCES|EPERM/.test(why) ? 'denied' : 'unreadable';
    throw new HostError(code, `${path}: cannot be read (${why})`);
  }
}

async function* parts(stream: Readable): AsyncGenerator<Buffer> {
  for await (const part of stream) yield Buffer.isBuffer(part) ? part : Buffer.from(String(part));
}

async function* decompressed(path: string, program: string): AsyncGenerator<Buffer> {
  const command = programPath(program);
  if (command === undefined)
    throw new HostError('unreadable', `${path}: compressed file (${program} is not installed)`);
  const child = spawn(command, ['-dc', '--', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: safePath() },
  });
  const ended = once(child, 'close');
  let said = '';
  child.stderr.on('data', (part: Buffer) => {
    if (said.length < HEAD) said += part.toString();
  });
  child.on('error', (error) => child.stdout.destroy(error));
  try {
    yield* parts(child.stdout);
    const [status] = await ended;
    if (status !== 0) throw new HostError('unreadable', `${path}: corrupt (${said.trim()})`);
  } finally {
    child.kill();
  }
}

function headOf(path: string): Buffer | undefined {
  try {
    if (!statSync(path).isFile()) return undefined;
    const file = openSync(path, 'r');
    try {
      const head = Buffer.alloc(HEAD);
      return head.subarray(0, readSync(file, head, 0, HEAD, 0));
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

function compressionOf(head: Buffer): (typeof COMPRESSED)[number] | undefined {
  return COMPRESSED.find(({ magic }) => magic.every((byte, at) => head[at] === byte));
}
