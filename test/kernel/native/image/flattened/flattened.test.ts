import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { ByteSource } from '../../../../../src/kernel/native/image/byte-source.js';
import { FlattenedSource, readRuns } from '../../../../../src/kernel/native/image/flattened/flattened.js';
import { openImage } from '../../../../../src/kernel/native/image/open.js';
import { diskdumpExtents } from '../../../../support/dump/diskdump.js';
import { writeElf } from '../../../../support/dump/elf.js';
import { type Extent, flatten, joinExtents } from '../../../../support/dump/extents.js';
import { DumpDirectory, pageOf } from '../../../../support/dump/file.js';

const directory = new DumpDirectory();
afterAll(() => directory.dispose());

/** A source that reads bytes in memory. */
function sourceOf(bytes: Uint8Array): ByteSource {
  return {
    name: 'stream',
    size: bytes.length,
    pread(target, length, position) {
      const part = bytes.subarray(Number(position), Number(position) + length);
      target.set(part);
      return part.length;
    },
    placeOf: (offset) => (offset < bytes.length ? { descriptor: 7, offset, length: bytes.length - offset } : undefined),
    close() {},
  };
}

function readAll(source: ByteSource): Buffer {
  const whole = Buffer.alloc(source.size);
  expect(source.pread(whole, source.size, 0)).toBe(source.size);
  return whole;
}

const anyExtents: fc.Arbitrary<Extent[]> = fc.array(
  fc.record({ offset: fc.integer({ min: 0, max: 3000 }), bytes: fc.uint8Array({ minLength: 1, maxLength: 400 }) }),
  { minLength: 1, maxLength: 30 },
);

describe('a flattened stream', () => {
  it('yields the file that its records produce, later ones over earlier ones', () => {
    fc.assert(
      fc.property(anyExtents, fc.integer({ min: 1, max: 500 }), (extents, recordBytes) => {
        const source = new FlattenedSource(sourceOf(flatten(extents, { recordBytes })));
        return source.cut === false && readAll(source).equals(joinExtents(extents));
      }),
      { numRuns: 300 },
    );
  });

  it('names the place of its bytes in the stream; holes have none', () => {
    fc.assert(
      fc.property(anyExtents, fc.integer({ min: 1, max: 500 }), fc.nat(3500), (extents, recordBytes, position) => {
        const stream = flatten(extents, { recordBytes });
        const place = new FlattenedSource(sourceOf(stream)).placeOf(position);
        const isWritten = extents.some(({ offset, bytes }) => position >= offset && position < offset + bytes.length);
        if (!place || !isWritten) return !place && !isWritten;
        const expected = joinExtents(extents).subarray(position, position + place.length);
        const found = stream.subarray(place.offset, place.offset + place.length);
        return place.descriptor === 7 && place.length > 0 && expected.equals(found);
      }),
      { numRuns: 300 },
    );
  });

  it('is readable at any offset', () => {
    fc.assert(
      fc.property(anyExtents, fc.nat(3500), fc.nat(1000), (extents, position, length) => {
        const source = new FlattenedSource(sourceOf(flatten(extents, { recordBytes: 64 })));
        const target = Buffer.alloc(length);
        const read = source.pread(target, length, position);
        const expected = joinExtents(extents).subarray(position, position + length);
        return read === expected.length && target.subarray(0, read).equals(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('stores a uniform stream as one run, whatever its length', () => {
    const bytes = new Uint8Array(1 << 20).map((_, i) => i % 251);
    const stream = flatten([{ offset: 0, bytes }], { recordBytes: 16 });
    expect(readRuns(sourceOf(stream)).runs.length).toBe(1);
    expect(readAll(new FlattenedSource(sourceOf(stream))).equals(bytes)).toBe(true);
  });

  it('may contain small and large records in turn', () => {
    const sizes = [10, 200_000, 1, 30, 65_536, 65_520, 65_521, 4096, 7, 16_384, 3, 120_000, 9];
    const extents = sizes.map((size, i) => ({
      offset: ((i * 5) % sizes.length) * 250_000,
      bytes: new Uint8Array(size).fill(i + 1),
    }));
    const source = new FlattenedSource(sourceOf(flatten(extents, { recordBytes: 1 << 20 })));
    expect(readAll(source).equals(joinExtents(extents))).toBe(true);
  });

  it('is rejected if it consists of tiny records: its index would be larger than the stream', () => {
    const crumbs = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ offset: 3 * i, bytes: Uint8Array.of(i) }));
    expect(readRuns(sourceOf(flatten(crumbs(4000)))).runs.length).toBe(4000);
    expect(() => readRuns(sourceOf(flatten(crumbs(5000))))).toThrow(expect.objectContaining({ code: 'damaged' }));
  });

  it('does not fill holes with zeros if it is truncated', () => {
    const extents = [
      { offset: 0, bytes: Buffer.from('head') },
      { offset: 100, bytes: Buffer.from('tail') },
    ];
    const source = new FlattenedSource(sourceOf(flatten(extents, { noEnd: true })));
    expect(source.cut).toBe(true);
    expect(source.pread(new Uint8Array(104), 104, 0)).toBe(4);
    expect(source.pread(new Uint8Array(4), 4, 100)).toBe(4);
  });

  it('ends in a typed error if its records are damaged', () => {
    fc.assert(
      fc.property(anyExtents, fc.nat(), fc.nat(255), (extents, at, value) => {
        const stream = flatten(extents);
        stream[4096 + (at % (stream.length - 4096))] = value;
        let source: FlattenedSource;
        try {
          source = new FlattenedSource(sourceOf(stream));
        } catch (error) {
          expect(error).toHaveProperty('name', 'KernelError');
          return;
        }
        expect(source.pread(new Uint8Array(4096), 4096, 0)).toBeLessThanOrEqual(4096);
      }),
      { numRuns: 500 },
    );
  });
});

it('may contain an ELF core', () => {
  const core = writeElf({ loads: [{ physical: 0x100000n, data: pageOf(9) }] });
  const image = openImage([directory.write('flat-elf', flatten([{ offset: 0, bytes: core }]))]);
  const view = image.readPhysical(0x100000, 4096);
  expect(Buffer.from(view.buffer, view.byteOffset, 4096).equals(pageOf(9))).toBe(true);
  expect(image.facts.description).toMatch(/, flattened$/);
  image.close();
});

it('reports truncation, and reads the remaining part', () => {
  const extents = diskdumpExtents({
    blocks: 16,
    memory: new Map(Array.from({ length: 16 }, (_, i) => [i, { data: pageOf(i + 1) }])),
  });
  const stream = flatten([{ offset: 0, bytes: joinExtents(extents) }]);
  const image = openImage([directory.write('flat-cut', stream.subarray(0, stream.length - 6000))]);
  expect(image.facts.anomalies.join()).toMatch(/flattened stream has no end mark/);
  const view = image.readPhysical(0, 4096);
  expect(Buffer.from(view.buffer, view.byteOffset, 4096).equals(pageOf(1))).toBe(true);
  expect(() => image.readPhysical(15 * 4096, 8)).toThrow(expect.objectContaining({ code: 'truncated' }));
  image.close();
});
