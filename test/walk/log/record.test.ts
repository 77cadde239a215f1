import { expect, test } from 'vitest';
import { TimeOrder } from '../../../src/walk/log/record.js';
import { Warnings } from '../../../src/walk/warnings.js';

const SECOND = 1_000_000_000n;
const DAY = 86_400n * SECOND;

/** What is said of messages of these times, on a machine that has run for so long. */
function said(uptime: bigint | undefined, ...times: bigint[]): string[] {
  const warnings = new Warnings();
  const order = new TimeOrder(warnings, uptime);
  for (const [index, time] of times.entries()) order.add(`message ${index}`, time);
  return warnings.list().map(({ message }) => message);
}

test('the log’s clock drifts from the kernel’s: 50 parts in a million are 130 seconds a month', () => {
  expect(said(30n * DAY, 30n * DAY + 130n * SECOND)).toEqual([]);
});

test('a CPU that no interrupt reached for a minute printed on', () => {
  expect(said(300n * SECOND, 360n * SECOND)).toEqual([]);
});

test('a time long after the end is a contradiction', () => {
  const wrong = ['timestamp is after the kernel stopped: message 0'];
  expect(said(30n * DAY, 31n * DAY)).toEqual(wrong);
  expect(said(300n * SECOND, 1n << 63n)).toEqual(wrong);
  expect(said(undefined, 1n << 63n)).toEqual([]);
});

test('a time long before one that came earlier is a contradiction', () => {
  expect(said(DAY, 100n * SECOND, 95n * SECOND, 80n * SECOND)).toEqual([
    'much older than the preceding message: message 2',
  ]);
});
