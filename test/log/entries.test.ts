import { expect, test } from 'vitest';
import { entryLines, exportedLines } from '../../src/log/entries.js';
import { textRecords } from '../../src/log/reader.js';

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

/** The messages of a text, by the fields that its format has. */
async function messagesOf(text: string, size = 7) {
  const data = Buffer.from(text);
  const parts = Array.from({ length: Math.ceil(data.length / size) }, (_, at) =>
    data.subarray(at * size, at * size + size),
  );
  const feed = async function* () {
    yield* parts;
  };
  let lines = '';
  for await (const part of entryLines(text, feed()) ?? feed()) lines += part.toString('latin1');
  return textRecords(Buffer.from(lines, 'latin1').toString());
}

const KERNEL = { level: 4, facility: 0, timestamp: 1_771_244_287_000n, bare: false };

test.each([
  [
    'dmesg -J',
    '{\n   "dmesg": [\n      {\n         "pri": 4,\n         "time":  1771.244287,\n         "msg": "a: b"\n      },{\n         "pri": 30,\n         "time":  1772.000000,\n         "msg": "c"\n      }\n   ]\n}\n',
    [
      { ...KERNEL, text: 'a: b' },
      { facility: 3, level: 6, text: 'c' },
    ],
  ],
  [
    'dmesg -J -x',
    '{\n   "dmesg": [\n      {\n         "fac": "kern",\n         "pri": "warn",\n         "time":  1771.244287,\n         "caller": "T7",\n         "msg": "a"\n      }\n   ]\n}\n',
    [{ ...KERNEL, text: 'a', caller: { kind: 'task', id: 7 } }],
  ],
  [
    'json-pretty',
    '{\n\t"MESSAGE" : "a",\n\t"_TRANSPORT" : "kernel",\n\t"PRIORITY" : "4",\n\t"_SOURCE_MONOTONIC_TIMESTAMP" : "1771244287"\n}\n{\n\t"MESSAGE" : "b",\n\t"_TRANSPORT" : "journal"\n}\n',
    [{ ...KERNEL, text: 'a' }],
  ],
  [
    'json-sse, json-seq',
    'data: {"MESSAGE":"a","_TRANSPORT":"kernel","PRIORITY":"4","__MONOTONIC_TIMESTAMP":"1771244287"}\n\n\x1e{"MESSAGE":"b","_TRANSPORT":"kernel"}\n',
    [{ ...KERNEL, text: 'a' }, { text: 'b' }],
  ],
  [
    'verbose',
    `Sun 2026-11-22 11:04:52.123456 CET [s=ab;i=1;b=${'c'.repeat(32)};m=69930aff;t=5f;x=1]\n    _TRANSPORT=kernel\n    PRIORITY=4\n    MESSAGE=a\n            ä\nSun 2026-11-22 11:04:52.123456 CET [s=ab;i=2;b=${'c'.repeat(32)};m=2;t=5f;x=1]\n    _TRANSPORT=syslog\n    MESSAGE=b\n`,
    [{ ...KERNEL, text: 'a\nä', bootId: 'c'.repeat(32) }],
  ],
  ['a log of Docker', '{"log":"<4>[ 1771.244287] a\\n","stream":"stdout","time":"x"}\n', [{ ...KERNEL, text: 'a' }]],
])('reads %s', async (_, text, expected) => {
  expect(await messagesOf(text)).toMatchObject(expected);
});

test('keeps what is no entry, and bounds what is never complete', async () => {
  expect(await messagesOf('{\nno: json\n}\n')).toMatchObject([{ bare: true }]);
  const endless = await messagesOf(`{\n${'"a": 1,\n'.repeat(200_000)}`, 1 << 16);
  expect(endless.length).toBeLessThanOrEqual(1);
});
