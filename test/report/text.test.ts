import { describe, expect, test } from 'vitest';
import { escapeText } from '../../src/report/escape.js';
import { formatSize } from '../../src/report/size.js';

describe('escapeText', () => {
  test('leaves plain text of any script alone', () => {
    expect(escapeText('feedd (ü, 世界) $x')).toBe('feedd (ü, 世界) $x');
  });
  test.each([
    ['\u001b[31mred', '\\x1b[31mred'],
    ['a\nb\tc\r', 'a\\x0ab\\x09c\\x0d'],
    ['\u009b2J', '\\x9b2J'],
    ['\u202egnp.exe', '\\u{202e}gnp.exe'],
    ['back\\slash', 'back\\\\slash'],
    ['\ud800', '\\u{d800}'],
  ])('makes %j inert', (hostile, inert) => {
    expect(escapeText(hostile)).toBe(inert);
  });
});

test.each([
  [0, '0'],
  [812, '812 B'],
  [1024, '1.00 KiB'],
  [65_180, '63.7 KiB'],
  [1_761_280, '1.68 MiB'],
  [1024 * 1024 - 1, '1.00 MiB'],
  [10_239, '10.0 KiB'],
  [8_200_000_000, '7.64 GiB'],
])('formatSize(%d) is %s', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});
