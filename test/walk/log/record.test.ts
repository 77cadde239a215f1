import { expect, test } from 'vitest';
import { TimeOrder } from '../../../src/walk/log/record.js';
import { Warnings } from '../../../src/walk/warnings.js';

const SECOND = 1_000_000_000n;
const DAY = 86_400n * SECOND;

/** Warnings about messages with these timestamps, on a machine with this uptime. */
function warningsOf(uptime: bigint | undefined, ...times: bigint[]): string[] {
  const warnings = new Warnings();
  const order = new TimeOrder(warnings, uptime);
  for (const [index, time] of times.entries()) order.add(`message ${index}`, time);
  return warnings.list().map(({ message }) => message);
}

test('accepts a drift of the log clock: 50 ppm are 130 seconds a month', () => {
  expect(warningsOf(30n * DAY, 30n * DAY + 130n * SECOND)).toEqual([]);
});

test('accepts messages of a CPU that received no interrupt for a minute', () => {
  expect(warningsOf(300n * SECOND, 360n * SECOND)).toEqual([]);
});

test('reports a timestamp long after the end as a contradiction', () => {
  const wrong = ['timestamp is after the kernel stopped: message 0'];
  expect(warningsOf(30n * DAY, 31n * DAY)).toEqual(wrong);
  expect(warningsOf(300n * SECOND, 1n << 63n)).toEqual(wrong);
  expect(warningsOf(undefined, 1n << 63n)).toEqual([]);
});

test('reports a timestamp long before a preceding one as a contradiction', () => {
  expect(warningsOf(DAY, 100n * SECOND, 95n * SECOND, 80n * SECOND)).toEqual([
    'much older than the preceding message: message 2',
  ]);
});
