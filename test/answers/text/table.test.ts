import { describe, expect, test } from 'vitest';
import { columnsOf, cut, cutMiddle, wrap } from '../../../src/answers/text/cut.js';
import { type Column, renderTable } from '../../../src/answers/text/table.js';
import { takesEscapes, terminalWidth } from '../../../src/app/kit/terminal.js';

interface Row {
  readonly name: string;
  readonly size: string;
  readonly why: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'NAME', value: ({ name }) => name, shrinks: { keeps: 'ends', least: 11 } },
  { heading: 'SIZE', value: ({ size }) => size, align: 'right' },
  { heading: 'WHY', value: ({ why }) => why, spare: 1 },
];
const ROWS: readonly Row[] = [
  { name: '10.0.0.1:9001 ← 10.0.0.2:40000', size: '1.55 MiB', why: 'unread' },
  { name: 'unix', size: '0', why: '' },
];
const table = (width: number | null) => renderTable(COLUMNS, ROWS, width).split('\n');

describe('a table', () => {
  test('aligns figures to the right and has no space at line ends', () => {
    expect(table(null)).toEqual([
      'NAME                                SIZE  WHY',
      '10.0.0.1:9001 ← 10.0.0.2:40000  1.55 MiB  unread',
      'unix                                   0',
    ]);
  });
  test('is as wide as it needs to be and no wider, where there is room', () => {
    expect(table(48)).toEqual(table(null));
    expect(table(160)).toEqual(table(null));
  });
  test('has cells cut that may be, in their middle here, to fit to the column', () => {
    expect(table(40)).toEqual([
      'NAME                        SIZE  WHY',
      '10.…:9001 ← 10.…:40000  1.55 MiB  unread',
      'unix                           0',
    ]);
  });
  test('leaves out what it can spare before a cell is cut too far, and says so', () => {
    expect(table(28)).toEqual([
      'NAME                    SIZE',
      '1…:9001 ← 1…:40000  1.55 MiB',
      'unix                       0',
      'Hidden at this width: column',
      'WHY (widen the terminal or',
      'pipe the output).',
    ]);
  });
  test.each([20, 25, 31, 40, 47])('keeps to %i columns', (width) => {
    for (const line of table(width)) expect(columnsOf(line)).toBeLessThanOrEqual(width);
  });
  test('does not cut figures, however narrow the terminal is', () => {
    expect(table(5)[1]).toBe('10…0  1.55 MiB');
  });
  test('counts what a terminal shows wide, or over the letter before', () => {
    const of = (name: string) =>
      renderTable(COLUMNS, [{ name, size: '1', why: 'x' }], null).split('\n')[1] ?? '';
    expect(of('世界')).toBe('世界     1  x');
    expect(of('e\u0301e\u0301')).toBe('e\u0301e\u0301       1  x');
    expect(columnsOf('世界 e\u0301')).toBe(6);
  });
});

describe('text', () => {
  test.each([
    ['abcdef', 6, 'abcdef', 'abcdef'],
    ['abcdef', 5, 'abcd…', 'ab…ef'],
    ['世界世界', 5, '世界…', '世…界'],
    ['😀😀😀', 4, '😀…', '😀…'],
  ])('%s is cut to %i columns', (text, width, atEnd, inMiddle) => {
    expect([cut(text, width), cutMiddle(text, width)]).toEqual([atEnd, inMiddle]);
  });
  test('is broken at spaces, and a word too long for a line where that ends', () => {
    expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrap('one twothreefour', 7)).toEqual(['one two', 'threefo', 'ur']);
    expect(wrap('世界世界', 4)).toEqual(['世界', '世界']);
    expect(wrap('one two three', null)).toEqual(['one two three']);
  });
});

describe('the width of an answer', () => {
  test('is the terminal’s own', () => {
    expect(terminalWidth({ isTTY: true, columns: 132 }, { COLUMNS: '90' })).toBe(132);
  });
  test('is what COLUMNS says of a terminal that does not tell, or 80', () => {
    expect(terminalWidth({ isTTY: true, columns: 0 }, { COLUMNS: '90' })).toBe(90);
    expect(terminalWidth({ isTTY: true }, { COLUMNS: '-1' })).toBe(80);
    expect(terminalWidth({ isTTY: true, columns: 0 }, {})).toBe(80);
  });
  test('is none in a pipe, whatever COLUMNS says', () => {
    expect(terminalWidth({ columns: 80 }, { COLUMNS: '80' })).toBeNull();
  });
});

test.each([
  [{ isTTY: true }, { TERM: 'xterm' }, true],
  [{ isTTY: true }, {}, true],
  [{ isTTY: true }, { TERM: 'dumb' }, false],
  [{}, { TERM: 'xterm' }, false],
])('an output %j with %j takes escape sequences: %s', (output, environment, takes) => {
  expect(takesEscapes(output, environment)).toBe(takes);
});
