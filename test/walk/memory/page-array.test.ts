import { expect, test } from 'vitest';
import { FrameMap } from '../../../src/walk/memory/page-array.js';

const map = new FrameMap([
  { start: 1, end: 159 },
  { start: 256, end: 131_040 },
  { start: 2 ** 36, end: 2 ** 36 + 3 },
]);

test('numbers frames without the holes between ranges', () => {
  expect(map.size).toBe(158 + 130_784 + 3);
  expect([1, 158, 256, 131_039, 2 ** 36 + 2].map((frame) => map.indexOf(frame))).toEqual([
    0,
    157,
    158,
    158 + 130_783,
    map.size - 1,
  ]);
});

test('returns no index for a frame outside RAM', () => {
  for (const frame of [0, 159, 255, 131_040, 2 ** 36 - 1, 2 ** 36 + 3])
    expect(map.indexOf(frame), String(frame)).toBe(-1);
});

test('maps an index back to its frame', () => {
  for (const index of [0, 1, 157, 158, 100_000, map.size - 3, map.size - 1])
    expect(map.indexOf(map.frameAt(index))).toBe(index);
});
