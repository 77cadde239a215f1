import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { MemoryImage } from '../../../../src/kernel/native/image/image.js';
import { openImage } from '../../../../src/kernel/native/image/open.js';
import { type PackedFinder, ReadAhead } from '../../../../src/kernel/native/image/read-ahead.js';
import { type Compression, compress, FLAGS } from '../../../support/dump/compress.js';
import { type BlockSpec, diskdumpExtents } from '../../../support/dump/diskdump.js';
import { writeExtents } from '../../../support/dump/extents.js';
import { DumpDirectory, pageOf } from '../../../support/dump/file.js';

const SIZE = 4096;
/** More than all batches of two threads hold. */
const BLOCKS = 1000;
/** As many as a large machine has; what is announced are fewer. */
const MANY = 2 ** 20;
const numbers = Array.from({ length: BLOCKS }, (_, block) => block);
const codecs = ['zlib', 'lzo', 'snappy'] as const;
const codecOf = (block: number): Compression => codecs[block % codecs.length]!;
const isDamaged = (block: number) => block % 97 === 5;
const packed = (block: number) => {
  const bytes = Uint8Array.from(compress(pageOf(block), codecOf(block)));
  return { bytes: isDamaged(block) ? bytes.subarray(0, bytes.length - 1) : bytes, flag: FLAGS[codecOf(block)] };
};

describe('blocks that threads decompress', () => {
  const directory = new DumpDirectory();
  const path = join(directory.path, 'blocks');
  // In another order than they are read in, and each third one in three parts.
  const stored = numbers.toSorted((a, b) => (a % 10) - (b % 10) || a - b);
  interface Packed {
    readonly places: readonly { readonly descriptor: number; readonly offset: number; readonly length: number }[];
    readonly flag: number;
  }
  const placesOf = new Map<number, Packed>();
  const pieces: Uint8Array[] = [];
  let offset = 0;
  for (const block of stored) {
    const { bytes, flag } = packed(block);
    const lengths = block % 3 === 0 ? [1, 5, bytes.length - 6] : [bytes.length];
    const places = lengths.map((length) => {
      const place = { descriptor: -1, offset, length };
      offset += length + 16;
      return place;
    });
    let from = 0;
    for (const length of lengths) {
      pieces.push(bytes.subarray(from, from + length), new Uint8Array(16));
      from += length;
    }
    placesOf.set(block, { places, flag });
  }
  writeFileSync(path, Buffer.concat(pieces));
  const descriptor = openSync(path, 'r');
  const packedOf = (block: number): Packed => {
    const { places, flag } = placesOf.get(block)!;
    return { places: places.map((place) => ({ ...place, descriptor })), flag };
  };
  const finderOf =
    (of: (block: number) => Packed): PackedFinder =>
    (block, add) => {
      const { places, flag } = of(block);
      for (const place of places) add(place, place.length);
      return flag;
    };
  const find = finderOf(packedOf);
  afterAll(() => {
    closeSync(descriptor);
    directory.dispose();
  });
  const bytes = (view: DataView | undefined) => view && Buffer.from(view.buffer, view.byteOffset, view.byteLength);

  it('are those of the dump, of every codec; damaged ones are left to the reader', () => {
    const ahead = ReadAhead.start(SIZE, numbers, MANY, find, 2)!;
    for (const block of numbers) {
      const page = bytes(ahead.take(block));
      if (isDamaged(block)) expect(page, `block ${block}`).toBeUndefined();
      else expect(page?.equals(pageOf(block)), `block ${block}`).toBe(true);
    }
    ahead.stop();
  });

  it('may be skipped, and are taken in order only', () => {
    const ahead = ReadAhead.start(SIZE, numbers, MANY, find, 3)!;
    expect(bytes(ahead.take(300))?.equals(pageOf(300))).toBe(true);
    expect(ahead.take(1)).toBeUndefined();
    expect(ahead.take(BLOCKS)).toBeUndefined();
    expect(bytes(ahead.take(301))?.equals(pageOf(301))).toBe(true);
    ahead.stop();
    expect(ahead.take(302)).toBeUndefined();
  });

  it('are left to the reader where the file cannot be read, or ends', () => {
    const closed = (block: number) => ({
      places: [{ descriptor: 2 ** 30, offset: block, length: 9 }],
      flag: FLAGS.zlib,
    });
    const behind = () => ({ places: [{ descriptor, offset, length: 9 }], flag: FLAGS.zlib });
    const mixed = (block: number) => (block % 3 === 0 ? packedOf(block) : block % 3 === 1 ? closed(block) : behind());
    const ahead = ReadAhead.start(SIZE, numbers, MANY, finderOf(mixed), 2)!;
    for (const block of numbers)
      expect(ahead.take(block) !== undefined, `block ${block}`).toBe(block % 3 === 0 && !isDamaged(block));
    ahead.stop();
  });

  it('are not read ahead with one CPU or for few blocks', () => {
    expect(ReadAhead.start(SIZE, numbers, MANY, find, 1)).toBeUndefined();
    expect(ReadAhead.start(SIZE, numbers, BLOCKS, find, 2)).toBeUndefined();
  });
});

describe('a dump that is read ahead', () => {
  const directory = new DumpDirectory();
  const memory = new Map(
    numbers.map((block): [number, BlockSpec] => {
      if (block % 50 === 7) return [block, 'filtered'];
      if (block % 50 === 8) return [block, 'zero'];
      const { bytes, flag } = packed(block);
      return [block, isDamaged(block) ? { stored: bytes, flags: flag } : { data: pageOf(block), as: codecOf(block) }];
    }),
  );
  const file = writeExtents(join(directory.path, 'dump'), diskdumpExtents({ blocks: BLOCKS, memory }));
  const [plain, announced] = [openImage([file]), openImage([file])];
  afterAll(() => {
    for (const image of [plain, announced]) image.close();
    directory.dispose();
  });
  const read = (image: MemoryImage, at: number, length: number): string => {
    try {
      const view = image.readPhysical(at, length);
      return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('latin1');
    } catch (error) {
      return String(error);
    }
  };

  it('has the same bytes and errors as without threads, and views stay valid', () => {
    // Ranges that begin and end within a block, and blocks by themselves.
    const ranges = numbers.map((block) => ({
      start: block * SIZE + (block % 2) * 64,
      end: (block + 1) * SIZE + (block % 3) * 64,
    }));
    const end = announced.ahead!(ranges, MANY);
    const kept = announced.readPhysical(0, 64);
    const window = { view: kept, base: 0 };
    for (const block of numbers) {
      const [at, length] = [block * SIZE, block % 3 === 0 ? 2 * SIZE : SIZE];
      expect(read(announced, at, length), `block ${block}`).toBe(read(plain, at, length));
      if (memory.get(block) === 'filtered' || isDamaged(block)) continue;
      expect(announced.locate!(at + 8, 8, window)).toBe(true);
      expect(window.view.getBigUint64(window.base, true)).toBe(plain.readPhysical(at + 8, 8).getBigUint64(0, true));
    }
    const zeros = numbers.filter((block) => plain.isZero?.(block * SIZE + 8));
    expect(zeros).toEqual(numbers.filter((block) => memory.get(block) === 'zero'));
    end();
    expect(Buffer.from(kept.buffer, kept.byteOffset, 64).equals(pageOf(0).subarray(0, 64))).toBe(true);
    expect(read(announced, 3 * SIZE, SIZE)).toBe(read(plain, 3 * SIZE, SIZE));
  });
});
