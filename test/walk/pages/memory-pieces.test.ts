import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PageTableError, ReadError } from '../../../src/base/errors.js';
import { memoryPieces } from '../../../src/walk/pages/memory-pieces.js';

const PAGE = 64;

/** Memory with gaps; each byte is its address modulo 251. */
function memory(ranges: readonly (readonly [start: number, end: number])[]) {
  return (address: bigint, length: number): DataView => {
    const start = Number(address);
    const whole = ranges.some(([from, to]) => start >= from && start + length <= to);
    if (!whole) throw new ReadError('absent', address);
    return new DataView(Uint8Array.from({ length }, (_, i) => (start + i) % 251).buffer);
  };
}

describe('memoryPieces', () => {
  test('reads a segment that begins and ends within a page to the byte', () => {
    const pieces = [...memoryPieces(memory([[100, 300]]), 0n, 512, PAGE)];
    expect(pieces[0]).toEqual({ kind: 'hole', address: 0n, length: 100, code: 'absent' });
    expect(pieces.at(-1)).toEqual({ kind: 'hole', address: 300n, length: 212, code: 'absent' });
    const bytes = pieces.flatMap((piece) => (piece.kind === 'bytes' ? [...piece.bytes] : []));
    expect(bytes).toEqual(Array.from({ length: 200 }, (_, i) => (100 + i) % 251));
  });

  test('finds single bytes between missing ones if a page may be partial', () => {
    const read = memory([
      [70, 80],
      [90, 91],
    ]);
    const found = [...memoryPieces(read, 64n, PAGE, PAGE, () => true)];
    expect(found.map((p) => [p.kind, p.kind === 'hole' ? p.length : [...p.bytes]])).toEqual([
      ['hole', 6],
      ['bytes', [70, 71, 72, 73, 74, 75, 76, 77, 78, 79]],
      ['hole', 10],
      ['bytes', [90]],
      ['hole', 37],
    ]);
  });

  test('does not merge memory behind a missing page table with other missing memory', () => {
    const read = (address: bigint): DataView => {
      if (address < 64n) throw new ReadError('filtered', address);
      throw new PageTableError('filtered', address);
    };
    expect([...memoryPieces(read, 0n, 3 * PAGE, PAGE)]).toEqual([
      { kind: 'hole', address: 0n, length: 64, code: 'filtered' },
      { kind: 'hole', address: 64n, length: 128, code: 'filtered', behindTable: true },
    ]);
  });

  test('covers any range without gaps, and merges adjacent holes', () => {
    const stretches = fc.array(fc.tuple(fc.nat(1000), fc.nat(300)), { maxLength: 4 });
    fc.assert(
      fc.property(stretches, fc.nat(900), fc.integer({ min: 1, max: 900 }), (made, start, length) => {
        const ranges = made.map(([from, size]) => [from, from + size] as const);
        let at = BigInt(start);
        let last = '';
        for (const piece of memoryPieces(memory(ranges), at, length, PAGE)) {
          expect(piece.address).toBe(at);
          expect(piece.kind === 'hole' && last === 'hole').toBe(false);
          last = piece.kind;
          if (piece.kind === 'bytes') {
            expect(piece.bytes[0]).toBe(Number(at) % 251);
            at += BigInt(piece.bytes.length);
          } else {
            at += BigInt(piece.length);
          }
        }
        expect(at).toBe(BigInt(start + length));
      }),
    );
  });
});
