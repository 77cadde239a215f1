import { expect, test } from 'vitest';
import { messagesAround } from '../../../src/triage/log/lines.js';
import { recordsOf } from './records.js';

const RECORDS = [...recordsOf(Array.from({ length: 200 }, (_, at) => `<4>[    1.000000] m${at}`).join('\n'))];
const around = (...seqs: number[]) =>
  messagesAround(RECORDS, new Set(seqs)).map(
    ({ record, asked, gap }) => `${gap ? '…' : ''}${record.text}${asked ? '!' : ''}`,
  );

test('shows 15 messages before and after, with the requested one marked', () => {
  const found = around(100);
  expect(found).toHaveLength(31);
  expect([found[0], found[15], found.at(-1)]).toEqual(['m85', 'm100!', 'm115']);
});

test('shows messages near two requested ones once, and marks gaps', () => {
  const found = around(100, 110, 180);
  expect(found).toHaveLength(41 + 31);
  expect(found.filter((one) => one.startsWith('…'))).toEqual(['…m165']);
});

test('shows fewer messages at the ends of the log, and none around a missing one', () => {
  expect(around(0)).toHaveLength(16);
  expect(around(199).at(-1)).toBe('m199!');
  expect(around(500)).toEqual([]);
});
