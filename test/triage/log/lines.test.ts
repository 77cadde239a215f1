import { expect, test } from 'vitest';
import { messagesAround } from '../../../src/triage/log/lines.js';
import { recordsOf } from './records.js';

const RECORDS = [
  ...recordsOf(Array.from({ length: 200 }, (_, at) => `<4>[    1.000000] m${at}`).join('\n')),
];
const around = (...seqs: number[]) =>
  messagesAround(RECORDS, new Set(seqs)).map(
    ({ record, asked, gap }) => `${gap ? '…' : ''}${record.text}${asked ? '!' : ''}`,
  );

test('fifteen messages before and after, and what was asked for is marked', () => {
  const found = around(100);
  expect(found).toHaveLength(31);
  expect([found[0], found[15], found.at(-1)]).toEqual(['m85', 'm100!', 'm115']);
});

test('what is near two is there once, and what is left out is marked', () => {
  const found = around(100, 110, 180);
  expect(found).toHaveLength(41 + 31);
  expect(found.filter((one) => one.startsWith('…'))).toEqual(['…m165']);
});

test('at the ends of the log there is less, and of a message that is gone nothing', () => {
  expect(around(0)).toHaveLength(16);
  expect(around(199).at(-1)).toBe('m199!');
  expect(around(500)).toEqual([]);
});
