import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Area, type Placed, placeAreas } from '../../../src/answers/html/treemap.js';

const area = (bytes: number, parts: readonly Area[] = []): Area => ({
  lines: [`${bytes}`],
  description: `${bytes}`,
  bytes,
  colour: 'kernel',
  parts,
});

/** Trees whose parts sum to at most their parent. */
const trees = fc.letrec<{ tree: Area }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.integer({ min: 0, max: 2 ** 40 }).map((bytes) => area(bytes)),
    fc.tuple(fc.array(tie('tree'), { maxLength: 40 }), fc.integer({ min: 0, max: 2 ** 30 })).map(([parts, rest]) =>
      area(
        parts.reduce((sum, { bytes }) => sum + bytes, rest),
        parts,
      ),
    ),
  ),
})).tree;

function check({ area: { bytes }, places, parts }: Placed): void {
  if (parts.length === 0) return;
  // The displayed cells add up, to the byte.
  expect(parts.reduce((sum, part) => sum + part.area.bytes, 0)).toBe(bytes);
  for (const shape of places.keys()) {
    for (const { area: part, places: own } of parts) {
      const { left, top, width, height } = own[shape]!;
      expect(width * height).toBeCloseTo(part.bytes / bytes, 6);
      for (const side of [left, top]) expect(side).toBeGreaterThanOrEqual(-1e-9);
      for (const end of [left + width, top + height]) expect(end).toBeLessThanOrEqual(1 + 1e-9);
    }
  }
  for (const part of parts) check(part);
}

test('cells fill their parent in proportion to their bytes, in every shape', () => {
  fc.assert(
    fc.property(trees, (tree) => check(placeAreas(tree, [0.75, 2, 16]))),
    { numRuns: 60 },
  );
});

test('parts larger than their parent overlap: none is shown', () => {
  expect(placeAreas(area(10, [area(6), area(6)]), [1]).parts).toEqual([]);
});

test('unattributed bytes and parts that are too small to show share one cell', () => {
  const parts = [area(70_000), ...Array.from({ length: 5 }, () => area(1))];
  const { parts: shown } = placeAreas(area(100_000, parts), [1]);
  expect(shown.map(({ area: { bytes } }) => bytes)).toEqual([70_000, 30_000]);
  expect(shown[1]?.area.description).toBe('the rest, 5 smaller ones among it of: 100000');
});

test('no area has more cells than a reader can distinguish', () => {
  const whole = area(
    10_000,
    Array.from({ length: 1000 }, () => area(10)),
  );
  expect(placeAreas(whole, [1]).parts.length).toBeLessThanOrEqual(25);
});
