import { expect, test } from 'vitest';
import { FrameIndex } from '../../../src/walk/pages/frame-index.js';

/** Neighbours, a stride apart, and beyond 2^32: what a multiplicative hash must spread. */
const FRAMES = [
  ...Array.from({ length: 3000 }, (_, index) => index),
  ...Array.from({ length: 3000 }, (_, index) => 2 ** 33 + index * 512),
];

test('every frame has one row, in the order in which they came', () => {
  const index = new FrameIndex();
  expect(index.find(0)).toBe(-1);
  FRAMES.forEach((frame, row) => {
    expect(index.add(frame)).toBe(row);
  });
  FRAMES.forEach((frame, row) => {
    expect([index.add(frame), index.find(frame), index.frame(row)]).toEqual([row, row, frame]);
  });
  expect(index.size).toBe(FRAMES.length);
  expect(index.find(2 ** 33 + 1)).toBe(-1);
});

test('a copy goes its own way', () => {
  const index = new FrameIndex();
  index.add(7);
  const copy = index.copy();
  copy.add(8);
  index.add(9);
  expect([copy.find(8), copy.find(9), index.find(8), index.find(9)]).toEqual([1, -1, -1, 1]);
});
