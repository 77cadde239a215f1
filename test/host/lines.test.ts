import { expect, test } from 'vitest';
import { LineCutter } from '../../src/host/lines.js';

function cut(bytes: Buffer, piece: number): { lines: string[]; overlong: number } {
  const lines: string[] = [];
  const cutter = new LineCutter((each, from, to) => lines.push(each.toString('utf8', from, to)));
  for (let at = 0; at < bytes.length; at += piece) {
    // The buffer is reused for the next piece, as that of a pipe may be.
    const memory = Buffer.from(bytes.subarray(at, at + piece));
    cutter.push(memory);
    memory.fill(0xff);
  }
  cutter.end();
  return { lines, overlong: cutter.overlong };
}

test.each([1, 2, 3, 7, 1000])('returns the same lines in pieces of %i bytes', (piece) => {
  const bytes = Buffer.from('one\n\ntwo and a half\n€\nlast without a newline');
  expect(cut(bytes, piece)).toEqual({
    lines: ['one', '', 'two and a half', '€', 'last without a newline'],
    overlong: 0,
  });
});

test('skips and reports a line that is too long, and reads later ones', () => {
  const bytes = Buffer.from(`before\n${'x'.repeat(200_000)}\nafter\n`);
  expect(cut(bytes, 4096)).toEqual({ lines: ['before', 'after'], overlong: 1 });
});
