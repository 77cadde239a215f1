import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  type ByteRange,
  keptBytesNote,
  keptBytesOf,
} from '../../../../src/kernel/native/image/kept-bytes.js';
import type { Note } from '../../../../src/kernel/native/image/notes.js';

const { name, type } = keptBytesNote({ pageSize: 4096, pages: new Map() });

/** A note whose numbers are these bytes. */
function noteOf(numbers: Uint8Array): Note {
  const bytes = Buffer.concat([Uint8Array.of(1, 12), deflateSync(numbers)]);
  return { name, type, data: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

test('ranges come back as they were', () => {
  const pages = new Map<number, readonly ByteRange[]>([
    [3, [{ start: 0, end: 8 }]],
    [
      70_000,
      [
        { start: 16, end: 24 },
        { start: 4000, end: 4096 },
      ],
    ],
    [70_001, [{ start: 0, end: 8 }]],
  ]);
  expect(keptBytesOf([keptBytesNote({ pageSize: 4096, pages })])?.pages).toEqual(pages);
});

describe('a list that would fill all memory is damage', () => {
  test('of pages', () => {
    const pairs = Buffer.alloc(2 * (2 ** 22 + 1));
    for (let at = 0; at < pairs.length; at += 2) pairs[at] = 1;
    expect(() => keptBytesOf([noteOf(pairs)])).toThrow('list of kept bytes has no end');
  });

  test('of ranges that no two pages share', () => {
    const page = (number: number) => {
      const bytes = Buffer.alloc(3 + 2 * 1024, 1);
      // 1024 ranges, the second of another length for each page.
      bytes.set([1, 0x80, 8]);
      bytes[6] = 1 + (number % 100);
      bytes[8] = 1 + Math.floor(number / 100);
      return bytes;
    };
    const pages = Buffer.concat(Array.from({ length: 1100 }, (_, number) => page(number)));
    expect(() => keptBytesOf([noteOf(pages)])).toThrow('list of kept bytes has no end');
  });
});
