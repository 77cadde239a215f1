import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PageTableError, ReadError } from '../../../src/base/errors.js';
import { memoryPieces } from '../../../src/walk/pages/memory-pieces.js';

const PAGE = 64;

/** Memory of which some stretches are there; a byte is its address modulo 251. */
function memory(there: readonly (readonly [start: number, end: number])[]) {
  return (address: bigint, length: number): DataView => {
    const start = Number(address);
    const whole = there.some(([from, to]) => start >= from && start + length <= to);
    if (!whole) throw new ReadError('absent', address);
    return new DataView(Uint8Array.from({ length }, (_, i) => (start + i) % 251).buffer);
  };
}

describe('memoryPieces', () => {
  test('a segment that begins and ends within a page is read to the byte', () => {
    const pieces = [...memoryPieces(memory([[100, 300]]), 0n, 512, PAGE)];
    expect(pieces[0]).toEqual({ kind: 'hole', address: 0n, length: 100, code: 'absent' });
    expect(pieces.at(-1)).toEqual({ kind: 'hole', address: 300n, length: 212, code: 'absent' });
    const bytes = pieces.flatMap((piece) => (piece.kind === 'bytes' ? [...piece.bytes] : []));
    expect(bytes).toEqual(Array.from({ length: 200 }, (_, i) => (100 + i) % 251));
  });

  test('bytes within a page, between bytes that are missing, are found where a page may be partial', () => {
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

  test('what lies behind a missing page table is told apart, and not joined with what is missing', () => {
    const read = (address: bigint): DataView => {
      if (address < 64n) throw new ReadError('filtered', address);
      throw new PageTableError('filtered', address);
    };
    expect([...memoryPieces(read, 0n, 3 * PAGE, PAGE)]).toEqual([
      { kind: 'hole', address: 0n, length: 64, code: 'filtered' },
      { kind: 'hole', address: 64n, length: 128, code: 'filtered', behindTable: true },
    ]);
  });

  test('pieces cover any range without gaps, and holes that touch are one', () => {
    const stretches = fc.array(fc.tuple(fc.nat(1000), fc.nat(300)), { maxLength: 4 });
    fc.assert(
      fc.property(
        stretches,
        fc.nat(900),
        fc.integer({ min: 1, max: 900 }),
        (made, start, length) => {
          const there = made.map(([from, size]) => [from, from + size] as const);
          let at = BigInt(start);
          let last = '';
          for (const piece of memoryPieces(memory(there), at, length, PAGE)) {
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
        },
      ),
    );
  });
});
