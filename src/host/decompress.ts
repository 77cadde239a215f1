import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { ExhaustedError, HostError } from '../base/errors.js';
import { programPath } from '../base/shell.js';
import { endGroup, startGroup } from './child.js';
import type { Compression } from './recognise.js';

const PART = 1 << 20;
const MAX_COMPLAINT = 4096;

/**
 * Decompresses a stream.
 *
 * @param path name of the file, for messages
 * @throws {HostError} `unreadable`: corrupt; `gone`: the program is not installed; {@link ExhaustedError}
 */
export function decompressed(
  path: string,
  packed: AsyncGenerator<Buffer>,
  compression: Compression,
): AsyncGenerator<Buffer> {
  return compression === 'gzip' ? gunzipped(packed) : throughProgram(path, packed, compression);
}

/** Returns the first bytes of a stream, at least `least` if it has as many, and the whole stream. */
export async function peeked(
  stream: Readable | AsyncGenerator<Buffer>,
  least: number,
): Promise<{ readonly head: Buffer; readonly all: AsyncGenerator<Buffer> }> {
  const parts = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < least) {
    const { done, value } = await parts.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const all = async function* () {
    try {
      if (head.length > 0) yield head;
      yield* { [Symbol.asyncIterator]: () => parts };
    } finally {
      // Not done by `yield*` if the reader stops within the first bytes: a program would run on.
      await parts.return?.();
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

async function* throughProgram(path: string, packed: AsyncGenerator<Buffer>, program: string): AsyncGenerator<Buffer> {
  const command = programPath(program);
  if (command === undefined) throw new HostError('gone', `${path}: compressed file (${program} is not installed)`);
  const child = startGroup(command, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'] });
  const { stdin, stdout, stderr } = child;
  if (!stdin || !stdout || !stderr) throw new ExhaustedError(`${program} cannot be started`);
  const closed = once(child, 'close');
  let complaint = '';
  stderr.on('data', (part: Buffer) => {
    if (complaint.length < MAX_COMPLAINT) complaint += part.toString();
  });
  child.on('error', (error) => stdout.destroy(error));
  let fault: unknown;
  // A program that exits early reports its own error.
  const fed = pipeline(packed, stdin).catch((error: unknown) => {
    fault = error;
  });
  try {
    yield* stdout as AsyncIterable<Buffer>;
    const [status] = await closed;
    await fed;
    if (fault instanceof HostError) throw fault;
    if (status !== 0) throw new HostError('unreadable', `${path}: corrupt (${complaint.trim()})`);
  } finally {
    endGroup(child);
  }
}
