import { expect, it } from 'vitest';
import { KnownFrames, keyOfFrames, NO_FRAME, NO_ROOM, parseSymbolFrame } from '../../../src/leaks/readings/tally.js';

const numbered = (frames: KnownFrames, ...lines: string[]) =>
  lines.map((line) => frames.numberOf(line, parseSymbolFrame));

it('numbers each function once, whatever else its line contains, and no malformed line', () => {
  const frames = new KnownFrames();
  expect(
    numbered(
      frames,
      ' alloc_skb+0x1f/0x40',
      'alloc_skb+0x1f/0x48',
      'alloc_skb+0x20/0x40',
      'alloc_skb+0x1f/0x40 [net]',
      'two words',
      ' alloc_skb+0x1f/0x40',
    ),
  ).toEqual([0, 0, 1, 2, NO_FRAME, 0]);
  expect(frames.frame(2)).toEqual({ symbol: 'alloc_skb', offset: 31, module: 'net', line: null, guess: false });
  expect(() => frames.frame(3)).toThrow('no frame 3');
});

it('distinguishes functions without names by address', () => {
  const frames = new KnownFrames();
  expect(numbered(frames, '0xffffffff81000001', ' 0xffffffff81000001', '0xffffffff81000002')).toEqual([0, 0, 1]);
  expect(frames.frame(1).symbol).toBeNull();
});

it('recognizes where a CPU was interrupted', () => {
  const frames = new KnownFrames();
  const numbers = numbered(frames, 'asm_common_interrupt+0x22/0x40', 'do_idle+0x1/0x2');
  expect(numbers.map((number) => frames.isEntry(number))).toEqual([true, false]);
});

it('numbers no new frames beyond its limits, and keeps the known ones', () => {
  const frames = new KnownFrames();
  const long = (at: number) => `${'x'.repeat(500)}${at}`;
  let at = 0;
  while (frames.numberOf(long(at), parseSymbolFrame) !== NO_ROOM) at++;
  // 8 Mi characters of lines, names and keys.
  expect(at).toBeGreaterThan(5000);
  expect(at).toBeLessThan(8 * 2 ** 11);
  expect(numbered(frames, long(at - 1), long(0))).toEqual([at - 1, 0]);
});

it('distinguishes keys with 16-bit numbers', () => {
  const keys = [[], [0], [0, 0], [1, 0], [255, 256], [256, 255], [0xfffe], [0xd800, 0xdc00]];
  expect(new Set(keys.map(keyOfFrames)).size).toBe(keys.length);
});
