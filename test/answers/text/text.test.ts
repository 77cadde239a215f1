import { describe, expect, test } from 'vitest';
import { cutWords } from '../../../src/answers/text/cut.js';
import { escapeText } from '../../../src/base/escape.js';
import { formatSize } from '../../../src/base/size.js';

describe('escapeText', () => {
  test('keeps plain text of any script', () => {
    expect(escapeText('feedd (ü, 世界) $x')).toBe('feedd (ü, 世界) $x');
  });
  test.each([
    ['\u001b[31mred', '\\x1b[31mred'],
    ['a\nb\tc\r', 'a\\x0ab\\x09c\\x0d'],
    ['\u009b2J', '\\x9b2J'],
    ['\u202egnp.exe', '\\u{202e}gnp.exe'],
    ['back\\slash', 'back\\\\slash'],
    ['\ud800', '\\u{d800}'],
  ])('escapes %j', (hostile, inert) => {
    expect(escapeText(hostile)).toBe(inert);
  });

  test.each([
    ['controls', '\u0000\u001f\u007f\u0080\u009f'],
    ['soft hyphen, grapheme joiner, letter mark', '\u00ad\u034f\u061c'],
    ['fillers of Hangul and of Khitan', '\u115f\u1160\u3164\uffa0\u{16fe4}'],
    ['invisible Khmer vowels', '\u17b4\u17b5'],
    ['Mongolian selectors', '\u180b\u180c\u180d\u180e\u180f'],
    ['spaces', '\u00a0\u1680\u2000\u200a\u202f\u205f\u3000\u2800'],
    ['joiners and direction marks', '\u200b\u200c\u200d\u200e\u200f\u202a\u202e'],
    ['line and paragraph separators', '\u2028\u2029\u0085'],
    ['operators, isolates, old format characters', '\u2060\u2064\u2065\u2066\u2069\u206a\u206f'],
    ['variation selectors', '\ufe00\ufe0f\u{e0100}\u{e01ef}'],
    ['byte order mark, annotations, noncharacters', '\ufeff\ufff0\ufff9\ufffb\uffff\u{1fffe}'],
    ['musical and shorthand format characters', '\u{1d159}\u{1d173}\u{1d17a}\u{1bca0}'],
    ['tags', '\u{e0000}\u{e0001}\u{e0020}\u{e007f}'],
    ['private use', '\ue000\u{f0000}\u{10fffd}'],
    ['lone surrogates', '\ud800'],
  ])('escapes %s', (_, hostile) => {
    for (const char of hostile) expect(escapeText(`a${char}b`)).toMatch(/^a\\[\x20-\x7e]+b$/);
  });

  test('escapes a combining mark only at the start of the text', () => {
    expect(escapeText('\u0338a')).toBe('\\u{338}a');
    expect(escapeText('a\u0308')).toBe('a\u0308');
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

test.each([
  ['dentry 2.00 MiB, kmalloc-512 7.50 MiB', 'dentry 2.00 MiB, …', 24],
  ['dentry 2.00 MiB, kmalloc-512 7.50 MiB', 'dentry 2.00 MiB, kmalloc-512 …', 32],
  ['dentry 2.00 MiB, kmalloc-512 7.50 MiB', 'dentry 2.00 MiB, kmalloc-512 …', 35],
  ['dentry 2.00 MiB', 'dentry …', 13],
  ['dentry 2.00 MiB', 'dentry …', 11],
  ['dentry 2.00 MiB', 'dentry 2.00 MiB', 15],
  ['free  -124 MiB', 'free  …', 13],
  ['node  3.38-13.5 KiB', 'node  …', 18],
  ['pid 132 (starver) 2.00 MiB', 'pid 132 …', 12],
  ['ext4_inode_cache', 'ext4_i…', 7],
])('%j is truncated between words to %j in %d columns, and never within a figure', (text, short, width) => {
  expect(cutWords(text, width)).toBe(short);
});
