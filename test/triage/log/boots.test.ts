import { expect, test } from 'vitest';
import { textRecords } from '../../../src/log/text.js';
import { BootCounter } from '../../../src/triage/log/boots.js';

function boots(...lines: readonly string[]): number[] {
  const counter = new BootCounter();
  return [...textRecords(lines.join('\n'))].map((record) => counter.take(record));
}

const BANNER = 'Linux version 6.12.0 (x@y) #1 SMP';

test('a banner, or a clock that goes back, begins a boot', () => {
  const first = [`[    0.000000] ${BANNER}`, '[    1.000000] a', '[  900.000000] b'];
  expect(boots(...first, ...first)).toEqual([1, 1, 1, 2, 2, 2]);
  expect(boots('[  900.000000] b', '[    0.500000] quiet console', '[    1.0000] c')).toEqual([
    1, 2, 2,
  ]);
});

test('messages of CPUs that are out of order begin none', () => {
  expect(boots('[  900.000000] a', '[  899.100000] b', '[  900.100000] c')).toEqual([1, 1, 1]);
});

test('what arm64 prints before its banner is of the same boot', () => {
  const start = '[    0.000000] Booting Linux on physical CPU 0x0000000000';
  const boot = [start, `[    0.000000] ${BANNER}`, '[  70.000000] a'];
  expect(boots(...boot, ...boot)).toEqual([1, 1, 1, 2, 2, 2]);
});

test('in syslog, which lacks the clock, banners are what tells', () => {
  const at = 'Nov 22 11:04:52 web1 kernel: ';
  const lines = [`${at}${BANNER}`, `${at}a`, `${at}b`];
  expect(boots(...lines, ...lines)).toEqual([1, 1, 1, 2, 2, 2]);
  expect(boots(...Array(9).fill(`${at}x`), ...lines).at(-1)).toBe(2);
});

test('a program that prints a banner begins none', () => {
  expect(boots('[   90.000000] a', BANNER, '[   91.000000] b')).toEqual([1, 1, 1]);
});
