import { deflateSync, inflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { ReadError } from '../../../../src/base/errors.js';
import {
  type ByteRange,
  keptBytesNotes,
  keptBytesOf,
  VarintWriter,
  withKeptBytes,
} from '../../../../src/kernel/native/image/kept-bytes.js';
import type { Note } from '../../../../src/kernel/native/image/notes.js';

const [{ name, type }] = keptBytesNotes(4096, [[0, []]]) as [Note];

/** A note with these encoded numbers. */
function noteOf(numbers: Uint8Array): Note {
  const bytes = Buffer.concat([Uint8Array.of(1, 12), deflateSync(numbers)]);
  return { name, type, data: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

const PAGES: readonly (readonly [number, readonly ByteRange[]])[] = [
  [3, [{ start: 0, end: 8 }]],
  [
    70_000,
    [
      { start: 16, end: 24 },
      { start: 4000, end: 4096 },
    ],
  ],
  [70_001, [{ start: 0, end: 8 }]],
  [70_002, []],
];

test.each([
  ['one list', undefined, 1],
  ['several lists, one of which grows long', 6, 2],
])('returns the same ranges from %s', (_, most, count) => {
  const notes = keptBytesNotes(4096, PAGES, most);
  expect(notes).toHaveLength(count);
  const pages = keptBytesOf(notes)?.pages;
  expect([...(pages ?? [])]).toEqual(PAGES);
  for (const [page, ranges] of PAGES) expect(pages?.of(page)).toEqual(ranges);
  expect(pages?.of(4)).toBeUndefined();
});

test('reads back the list of the struct pages of 200 GiB, a million pages', () => {
  const count = 820_000;
  const ranges = Array.from({ length: 64 }, (_, at) => ({ start: at * 64, end: at * 64 + 8 }));
  function* pages() {
    for (let page = 0; page < count; page++) yield [2 ** 26 + page, ranges] as const;
  }
  const notes = keptBytesNotes(4096, pages());
  expect(notes.length).toBeGreaterThan(1);
  for (const { data } of notes) {
    const body = new Uint8Array(data.buffer, data.byteOffset + 2, data.byteLength - 2);
    expect(inflateSync(body).length).toBeLessThanOrEqual(2 ** 26);
  }
  const read = keptBytesOf(notes)?.pages;
  for (const page of [0, 500_000, count - 1]) expect(read?.of(2 ** 26 + page)).toEqual(ranges);
  expect(read?.of(2 ** 26 + count)).toBeUndefined();
});

describe('a list that would fill all memory is reported as damage:', () => {
  test('too many pages', () => {
    const pairs = Buffer.alloc(2 * (2 ** 22 + 1));
    for (let at = 0; at < pairs.length; at += 2) pairs[at] = 1;
    expect(() => keptBytesOf([noteOf(pairs)])).toThrow('malformed list of stored bytes (too long)');
  });

  test('too many zeros', () => {
    expect(() => keptBytesOf([noteOf(Buffer.alloc(2 ** 26 + 1))])).toThrow('decompression failed');
    expect(() => keptBytesOf([noteOf(Buffer.alloc(2 ** 26))])).toThrow('out of order');
  });

  test('ranges that no two pages share', () => {
    // 1024 ranges, the first three with different lengths for each page.
    const part = (page: number) => {
      const numbers = new VarintWriter();
      numbers.push(1024);
      const rest = [page % 100, Math.floor(page / 100) % 100, Math.floor(page / 10_000)];
      for (let range = 0; range < 1024; range++) {
        numbers.push(1);
        numbers.push(1 + (rest[range] ?? 0));
      }
      return numbers.bytes;
    };
    const list = (first: number, last: number) => {
      const step = new VarintWriter();
      step.push(first);
      const parts = [step.bytes, part(first)];
      for (let page = first + 1; page <= last; page++) parts.push(Uint8Array.of(1), part(page));
      return noteOf(Buffer.concat(parts));
    };
    const half = list(1, 17_000);
    expect(keptBytesOf([half])?.pages.of(17_000)).toHaveLength(1024);
    expect(() => keptBytesOf([half, list(17_001, 34_000)])).toThrow('too long');
  });
});

describe('a read ends at the first byte that is missing', () => {
  // Pages 1 and 2 are stored, 3 is not; only the first half of page 2 was kept.
  const pages = [[2, [{ start: 0, end: 2048 }]]] as const;
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
      anomalies: [],
    },
    vmcoreinfo: undefined,
    virtualRanges: [],
    notes: keptBytesNotes(4096, pages),
    readPhysical(address: number, length: number): DataView {
      if (address < 4096) throw new ReadError('filtered', BigInt(address));
      if (address + length > 3 * 4096) throw new ReadError('filtered', BigInt(3 * 4096));
      return new DataView(new ArrayBuffer(length));
    },
    locate: () => true,
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
    ['of bytes that are all stored', 4096 + 100, 4096 + 1000, undefined],
    ['of a page that was kept in part', 4096, 8192, 8192 + 2048],
    ['of a page before one that is not stored', 8192 + 3000, 4096, 8192 + 3000],
    ['of a page after one that is not stored', 100, 3 * 4096, 100],
  ])('%s', (_, address, length, expected) => {
    expect(missing(address, length)).toBe(expected);
    // Bytes that were not kept are never shown as others; for pages that are not stored the underlying image decides.
    const place = { view: new DataView(new ArrayBuffer(0)), base: 0 };
    const isKept = address + length <= 8192 + 2048;
    expect(image.locate?.(address, length, place)).toBe(isKept);
  });
});
