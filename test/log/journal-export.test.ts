import { expect, test } from 'vitest';
import { exportedLines } from '../../src/log/journal-export.js';

/** A binary field: its name, its length, and its bytes. */
const bytes = (name: string, content: Buffer) => {
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(content.length));
  return Buffer.concat([Buffer.from(`${name}\n`), size, content, Buffer.from('\n')]);
};
const entry = (...fields: readonly (string | Buffer)[]) =>
  Buffer.concat([
    Buffer.from('__CURSOR=s\n__REALTIME_TIMESTAMP=1\n'),
    ...fields.map((field) => (typeof field === 'string' ? Buffer.from(`${field}\n`) : field)),
    Buffer.from('\n'),
  ]);
const ENTRIES = Buffer.concat([
  entry('MESSAGE=a=b', '_TRANSPORT=kernel'),
  entry(bytes('MESSAGE', Buffer.from('one\n\nMESSAGE=two')), bytes('COREDUMP', Buffer.alloc(9))),
]);
const LINES = [
  { __REALTIME_TIMESTAMP: '1', MESSAGE: 'a=b', _TRANSPORT: 'kernel' },
  { __REALTIME_TIMESTAMP: '1', MESSAGE: 'one\n\nMESSAGE=two' },
];

async function read(...parts: readonly Buffer[]): Promise<unknown[]> {
  let text = '';
  const feed = async function* () {
    yield* parts;
  };
  for await (const part of exportedLines(feed())) text += part.toString();
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

test('reads an export wherever its parts are split', async () => {
  for (let at = 0; at <= ENTRIES.length; at++)
    expect(await read(ENTRIES.subarray(0, at), ENTRIES.subarray(at))).toEqual(LINES);
  const each = Array.from(ENTRIES, (_, at) => ENTRIES.subarray(at, at + 1));
  expect(await read(...each)).toEqual(LINES);
});

test('skips a field of any size without storing it', async () => {
  const begin = Buffer.from('__CURSOR=s\n__REALTIME_TIMESTAMP=1\nCOREDUMP\n');
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(3n << 30n);
  const parts = Array<Buffer>(48).fill(Buffer.alloc(64 << 20));
  expect(await read(begin, size, ...parts, Buffer.from('\nMESSAGE=x\n\n'))).toEqual([
    { __REALTIME_TIMESTAMP: '1', MESSAGE: 'x' },
  ]);
});

test('refuses an export that ends within an entry, and a line without end', async () => {
  for (const cut of [1, 2, 20, 40])
    await expect(read(ENTRIES.subarray(0, ENTRIES.length - cut))).rejects.toThrow('truncated within');
  const parts = Array<Buffer>(40).fill(Buffer.alloc(1 << 20, 'x'));
  await expect(read(...parts)).rejects.toThrow('malformed');
});
