import { describe, expect, test } from 'vitest';
import { isHostError } from '../../../src/base/errors.js';
import { TarReader } from '../../../src/capture/read/tar.js';
import { tarEntry, tarOf } from '../../support/tar.js';

function read(bytes: Buffer, piece = bytes.length, room = 1000) {
  const files: [string, string][] = [];
  const reader = new TarReader(
    (name) => (name.includes('unwanted') ? null : room),
    (name, content) => files.push([name, content.toString()]),
  );
  for (let at = 0; at < bytes.length; at += piece) reader.push(bytes.subarray(at, at + piece));
  reader.end();
  return files;
}

const archive = tarOf(
  tarEntry('top/', '', '5'),
  tarEntry('top/one', 'x'.repeat(700)),
  tarEntry('top/unwanted', 'y'.repeat(5000)),
  tarEntry('top/link', '/etc/shadow', '2'),
  tarEntry('top/empty', ''),
);
const expected = [
  ['top/one', 'x'.repeat(700)],
  ['top/empty', ''],
];

describe('tar', () => {
  test('reads requested regular files completely, but no links and directories', () => {
    expect(read(archive)).toEqual(expected);
  });

  test.each([1, 7, 511, 512, 513])('reads the same in pieces of %d bytes', (piece) => {
    expect(read(archive, piece)).toEqual(expected);
  });

  test('stores only the beginning of a file that is too large', () => {
    expect(read(archive, 512, 10)[0]).toEqual(['top/one', 'x'.repeat(10)]);
  });

  test('reads long names in the formats of GNU and pax', () => {
    const long = `${'deep/'.repeat(40)}file`;
    const record = ` path=${long}\n`;
    const length = record.length + 3;
    expect(
      read(
        tarOf(
          tarEntry('././@LongLink', `${long}\0`, 'L'),
          tarEntry(long.slice(0, 100), 'gnu'),
          tarEntry('PaxHeaders/x', `${length}${record}`, 'x'),
          tarEntry(long.slice(0, 100), 'pax'),
        ),
      ),
    ).toEqual([
      [long, 'gnu'],
      [long, 'pax'],
    ]);
  });

  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['not a tar', Buffer.alloc(2048, 'x')],
    ['a truncated one', archive.subarray(0, 900)],
    ['one with a damaged header', Buffer.concat([Buffer.from('zz'), archive.subarray(2)])],
    ['an unterminated name', tarOf(tarEntry('././@LongLink', 'n'.repeat(70_000), 'L'))],
  ])('refuses %s', (_, bytes) => {
    try {
      read(bytes);
      expect.unreachable();
    } catch (error) {
      expect(isHostError(error, 'not-a-capture')).toBe(true);
    }
  });
});
