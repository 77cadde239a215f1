import { expect, test } from 'vitest';
import { AddressIndex, FrameIndex } from '../../../src/walk/pages/frame-index.js';

/** Adjacent frames, frames a stride apart, and beyond 2^32, which a multiplicative hash must spread. */
const FRAMES = [
  ...Array.from({ length: 3000 }, (_, index) => index),
  ...Array.from({ length: 3000 }, (_, index) => 2 ** 33 + index * 512),
];

test('returns one row per frame, in the order of insertion', () => {
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

test('leaves the original unchanged if a copy is changed', () => {
  const index = new FrameIndex();
  index.add(7);
  const copy = index.copy();
  copy.add(8);
  index.add(9);
  expect([copy.find(8), copy.find(9), index.find(8), index.find(9)]).toEqual([1, -1, -1, 1]);
});

/** Adjacent addresses, a stride apart, with equal lower halves, and at both ends of the range. */
const ADDRESSES = [
  ...Array.from({ length: 3000 }, (_, index) => 0xffff_8881_0000_0000n + BigInt(index) * 8n),
  ...Array.from({ length: 3000 }, (_, index) => 0xffff_8882_0000_0000n + BigInt(index) * 512n),
  ...Array.from({ length: 300 }, (_, index) => (BigInt(index) << 32n) + 0x1234_5678n),
  0n,
  1n,
  2n ** 64n - 1n,
  2n ** 64n - 2n,
];

test('returns one row per address, in the order of insertion', () => {
  const index = new AddressIndex();
  expect(index.find(0n)).toBe(-1);
  ADDRESSES.forEach((address, row) => {
    expect(index.add(address)).toBe(row);
  });
  ADDRESSES.forEach((address, row) => {
    expect([index.add(address), index.find(address)]).toEqual([row, row]);
  });
  expect(index.size).toBe(ADDRESSES.length);
  expect(index.find(0xffff_8881_0000_0001n)).toBe(-1);
});

test('adds the addresses of another index, whatever was inserted before', () => {
  const [one, other] = [new AddressIndex(), new AddressIndex()];
  for (const address of ADDRESSES) one.add(address);
  for (const address of ADDRESSES.toReversed()) other.add(address);
  const last = ADDRESSES.length - 1;
  ADDRESSES.forEach((_, row) => {
    expect(one.addFrom(other, row)).toBe(last - row);
  });
  const copy = one.copy();
  expect(copy.add(7n)).toBe(ADDRESSES.length);
  expect([one.find(7n), copy.find(ADDRESSES[9]!)]).toEqual([-1, 9]);
});
