import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { KdumpMemError } from '../../../../../src/base/errors.js';
import {
  packedPagesNote,
  packedPagesOf,
  packGroup,
} from '../../../../../src/kernel/native/image/diskdump/packed-pages.js';
import type { MemoryImage } from '../../../../../src/kernel/native/image/image.js';
import type { Note } from '../../../../../src/kernel/native/image/notes.js';
import { openImage } from '../../../../../src/kernel/native/image/open.js';
import { diskdumpExtents } from '../../../../support/dump/diskdump.js';
import { writeNotes } from '../../../../support/dump/elf.js';
import { writeExtents } from '../../../../support/dump/extents.js';
import { DumpDirectory, pageOf } from '../../../../support/dump/file.js';

const PAGE = 4096;
const directory = new DumpDirectory();
afterAll(() => directory.dispose());
let files = 0;

/** Pages 2, 3 and 6 are packed, 8 and 9 as differences; 4 is filtered out; the others are stored. */
const run = (first: number, last: number) => ({ start: first * PAGE, end: (last + 1) * PAGE });
const bytes = (...pages: readonly number[]) => Buffer.concat(pages.map((page) => pageOf(page)));
const NOTE = packedPagesNote(PAGE, [
  packGroup([run(2, 3), run(6, 6)], bytes(2, 3, 6), false),
  packGroup([run(8, 9)], bytes(8, 9), true),
]);

function open(note: Note): MemoryImage {
  const stored = [0, 1, 5, 7].map((block) => [block, { data: pageOf(block) }] as const);
  const filtered = [2, 3, 4, 6, 8, 9].map((block) => [block, 'filtered'] as const);
  const data = Buffer.from(note.data.buffer, note.data.byteOffset, note.data.byteLength);
  const notes = writeNotes([{ name: note.name, type: note.type, data }]);
  const memory = new Map<number, { data: Uint8Array } | 'filtered'>([...stored, ...filtered]);
  const path = join(directory.path, `dump${files++}`);
  return openImage([writeExtents(path, diskdumpExtents({ blocks: 10, memory, notes }))]);
}

const read = (image: MemoryImage, at: number, length: number): Buffer => {
  const view = image.readPhysical(at, length);
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
};

describe('packed pages', () => {
  const image = open(NOTE);
  afterAll(() => image.close());

  test('read like the original pages, across every boundary', () => {
    const all = bytes(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    for (let at = 0; at < all.length; at += 512) {
      for (const length of [8, 512, PAGE, 2 * PAGE, 5 * PAGE]) {
        const end = Math.min(at + length, all.length);
        const hole = at < 5 * PAGE && end > 4 * PAGE;
        if (hole) expect(() => read(image, at, end - at)).toThrow('filtered out of the dump');
        else expect(read(image, at, end - at).equals(all.subarray(at, end))).toBe(true);
      }
    }
  });

  test('cannot be located in place; stored pages can', () => {
    const all = bytes(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    const place = { view: new DataView(new ArrayBuffer(0)), base: 0 };
    for (let at = 0; at < all.length; at += 512) {
      const isStored = [0, 1, 5, 7].includes(Math.floor(at / PAGE));
      if (at < 4 * PAGE || at >= 5 * PAGE) expect(image.locate?.(at, 512, place)).toBe(isStored);
      if (!isStored) continue;
      const shown = Buffer.from(place.view.buffer, place.view.byteOffset + place.base, 512);
      expect(shown.equals(all.subarray(at, at + 512))).toBe(true);
    }
  });

  test('count as stored, merged with adjacent pages', () => {
    const ranges = [...image.facts.physicalRanges];
    expect(ranges).toEqual([run(0, 3), run(5, 9)]);
  });

  test('report a missing byte by its own address', () => {
    const missing = expect.objectContaining({ code: 'filtered', address: BigInt(4 * PAGE) });
    expect(() => read(image, 3 * PAGE, 2 * PAGE)).toThrow(missing);
  });
});

describe('damaged packed pages', () => {
  test('are reported if they cannot be unpacked, and other pages are read', () => {
    const broken = Buffer.from(new Uint8Array(NOTE.data.buffer.slice(0)));
    const second = packGroup([run(8, 9)], bytes(8, 9), true).packed.length;
    broken.fill(0xff, NOTE.data.byteOffset + NOTE.data.byteLength - second);
    const { byteOffset, byteLength } = NOTE.data;
    const image = open({ ...NOTE, data: new DataView(broken.buffer, byteOffset, byteLength) });
    for (let time = 0; time < 2; time++) {
      expect(() => read(image, 8 * PAGE, 8)).toThrow(expect.objectContaining({ code: 'damaged' }));
    }
    expect(read(image, 2 * PAGE, PAGE).equals(Buffer.from(pageOf(2)))).toBe(true);
    image.close();
  });

  test('are reported if they unpack to more or less than their pages', () => {
    for (const pages of [bytes(8), bytes(8, 9, 9), Buffer.alloc(1 << 24)]) {
      const image = open(packedPagesNote(PAGE, [packGroup([run(8, 9)], pages, false)]));
      expect(() => read(image, 8 * PAGE, 8)).toThrow(expect.objectContaining({ code: 'damaged' }));
      image.close();
    }
  });

  test('are refused if a newer version wrote them', () => {
    const newer = new DataView(Uint8Array.of(2, 12, 0).buffer);
    expect(() => packedPagesOf([{ ...NOTE, data: newer }])).toThrow('newer kdump-mem');
  });

  test('end in a typed error or in small groups', () => {
    const sound = new Uint8Array(NOTE.data.buffer, NOTE.data.byteOffset, 40);
    const mutated = fc.tuple(fc.nat(39), fc.nat(255), fc.nat(40)).map(([at, byte, end]) => {
      const copy = Uint8Array.from(sound);
      copy[at] = byte;
      return copy.subarray(0, end);
    });
    const hostile = fc.oneof(mutated, fc.uint8Array({ maxLength: 60 }));
    fc.assert(
      fc.property(hostile, (data) => {
        const view = new DataView(Uint8Array.from(data).buffer);
        try {
          for (const { runs } of packedPagesOf([{ ...NOTE, data: view }])) {
            const size = runs.reduce((sum, { start, end }) => sum + end - start, 0);
            expect(size).toBeLessThanOrEqual(4 << 20);
          }
        } catch (error) {
          if (!(error instanceof KdumpMemError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
