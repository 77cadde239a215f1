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
  test('aligns figures to the right, without trailing spaces', () => {
    expect(table(null)).toEqual([
      'NAME                                SIZE  WHY',
      '10.0.0.1:9001 ← 10.0.0.2:40000  1.55 MiB  unread',
      'unix                                   0',
    ]);
  });
  test('is no wider than needed if there is room', () => {
    expect(table(48)).toEqual(table(null));
    expect(table(160)).toEqual(table(null));
  });
  test('shortens cells to fit the width, here in the middle', () => {
    expect(table(40)).toEqual([
      'NAME                        SIZE  WHY',
      '10.…:9001 ← 10.…:40000  1.55 MiB  unread',
      'unix                           0',
    ]);
  });
  test('hides optional columns before it shortens a cell too far, and reports that', () => {
    expect(table(28)).toEqual([
      'NAME                    SIZE',
      '1…:9001 ← 1…:40000  1.55 MiB',
      'unix                       0',
      'Hidden at this width: column',
      'WHY (widen the terminal or',
      'pipe the output).',
    ]);
  });
  test.each([20, 25, 31, 40, 47])('fits %i columns', (width) => {
    for (const line of table(width)) expect(columnsOf(line)).toBeLessThanOrEqual(width);
  });
  test('does not truncate figures on a narrow terminal', () => {
    expect(table(5)[1]).toBe('10…0  1.55 MiB');
  });
  test('counts wide and combining characters by their display width', () => {
    const of = (name: string) => renderTable(COLUMNS, [{ name, size: '1', why: 'x' }], null).split('\n')[1] ?? '';
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
  ])('%s is truncated to %i columns', (text, width, atEnd, inMiddle) => {
    expect([cut(text, width), cutMiddle(text, width)]).toEqual([atEnd, inMiddle]);
  });
  test('wraps at spaces, and breaks a word that is longer than a line', () => {
    expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrap('one twothreefour', 7)).toEqual(['one two', 'threefo', 'ur']);
    expect(wrap('世界世界', 4)).toEqual(['世界', '世界']);
    expect(wrap('one two three', null)).toEqual(['one two three']);
  });
});

describe('width of an answer', () => {
  test('is the width of the terminal', () => {
    expect(terminalWidth({ isTTY: true, columns: 132 }, { COLUMNS: '90' })).toBe(132);
  });
  test('is COLUMNS, or 80, if the terminal reports no width', () => {
    expect(terminalWidth({ isTTY: true, columns: 0 }, { COLUMNS: '90' })).toBe(90);
    expect(terminalWidth({ isTTY: true }, { COLUMNS: '-1' })).toBe(80);
    expect(terminalWidth({ isTTY: true, columns: 0 }, {})).toBe(80);
  });
  test('is unlimited in a pipe, regardless of COLUMNS', () => {
    expect(terminalWidth({ columns: 80 }, { COLUMNS: '80' })).toBeNull();
  });
});

test.each([
  [{ isTTY: true }, { TERM: 'xterm' }, true],
  [{ isTTY: true }, {}, true],
  [{ isTTY: true }, { TERM: 'dumb' }, false],
  [{}, { TERM: 'xterm' }, false],
])('output %j with %j supports escape sequences: %s', (output, environment, takes) => {
  expect(takesEscapes(output, environment)).toBe(takes);
});
