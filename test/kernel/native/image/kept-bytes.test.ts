import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { ReadError } from '../../../../src/kernel/error.js';
import {
  type ByteRange,
  keptBytesNote,
  keptBytesOf,
  withKeptBytes,
} from '../../../../src/kernel/native/image/kept-bytes.js';
import type { Note } from '../../../../src/kernel/native/image/notes.js';

const { name, type } = keptBytesNote(4096, []);

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
  expect(keptBytesOf([keptBytesNote(4096, pages)])?.pages).toEqual(pages);
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

describe('a read ends at the first byte that is not there', () => {
  // Pages 1 and 2 are stored, 3 is not; of page 2 the first half was kept.
  const pages = new Map([[2, [{ start: 0, end: 2048 }]]]);
  const image = withKeptBytes({
    facts: {
      files: ['two pages'],
      format: 'diskdump',
      compression: [],
      dumpLevel: 31,
      description: 'two pages',
      live: false,
      machine: undefined,
      physicalRanges: [{ start: 4096, end: 3 * 4096 }],
      oddities: [],
    },
    vmcoreinfo: undefined,
    virtualRanges: [],
    notes: [keptBytesNote(4096, pages)],
    readPhysical(address: number, length: number): DataView {
      if (address < 4096) throw new ReadError('filtered', BigInt(address));
      if (address + length > 3 * 4096) throw new ReadError('filtered', BigInt(3 * 4096));
      return new DataView(new ArrayBuffer(length));
    },
    place: () => true,
    readVirtual: () => undefined,
    noteReads: () => () => {},
    close: () => {},
  });
  const missing = (address: number, length: number): number | undefined => {
    try {
      image.readPhysical(address, length);
    } catch (error) {
      if (error instanceof ReadError) return Number(error.address);
      throw error;
    }
    return undefined;
  };

  test.each([
    ['all is there', 4096 + 100, 4096 + 1000, undefined],
    ['of a page that was kept in part', 4096, 8192, 8192 + 2048],
    ['of one before a page that is not stored', 8192 + 3000, 4096, 8192 + 3000],
    ['of one behind a page that is not stored', 100, 3 * 4096, 100],
  ])('%s', (_, address, length, expected) => {
    expect(missing(address, length)).toBe(expected);
    // Nothing is shown in place of what was not kept; of what is not stored the image below tells.
    const place = { view: new DataView(new ArrayBuffer(0)), base: 0 };
    const isKept = address + length <= 8192 + 2048;
    expect(image.place?.(address, length, place)).toBe(isKept);
  });
});
