import { expect, test } from 'vitest';
import { splitPrefix } from '../../src/log/prefix.js';

const CLOCK = 12_345_678_000n;

/** A line in the format of each program, and its parsed parts. */
test.each([
  ['[   12.345678] x', { timestamp: 12_345_678_000n, text: 'x' }],
  ['<4>[   12.345678] x', { timestamp: CLOCK, level: 4, facility: 0, text: 'x' }],
  ['<30>[   12.345678] x', { timestamp: CLOCK, level: 6, facility: 3, text: 'x' }],
  ['<4>x', { timestamp: null, level: 4, text: 'x' }],
  ['[   12.345678][  T123] x', { caller: { kind: 'task', id: 123 }, text: 'x' }],
  ['[   12.345678][   C1]  x', { caller: { kind: 'cpu', id: 1 }, text: ' x' }],
  ['[   12.345678 <    0.000012>] x', { timestamp: CLOCK, text: 'x' }],
  ['kern  :warn  : [   12.345678] x', { timestamp: CLOCK, level: 4, facility: 0, text: 'x' }],
  ['[Sun Nov 22 11:04:52 2026] x', { printedTime: 'Sun Nov 22 11:04:52 2026', text: 'x' }],
  ['[Di Nov  3 11:04:52 2026] x', { printedTime: 'Di Nov  3 11:04:52 2026', text: 'x' }],
  ['[Nov22 11:04] x', { printedTime: 'Nov22 11:04', text: 'x' }],
  ['[  +0.000012] x', { printedTime: '+0.000012', text: 'x' }],
  ['2026-11-22T11:04:52,123456+01:00 x', { text: 'x' }],
  ['Nov  2 11:04:52 web1 kernel: x', { printedTime: 'Nov  2 11:04:52', text: 'x' }],
  ['Nov 22 11:04:52.123456 web1 kernel: x', { text: 'x' }],
  ['Nov 22 11:04:52 web1 kernel: <4>[   12.345678] x', { timestamp: CLOCK, level: 4, text: 'x' }],
  ['Nov 22 11:04:52 web1 kernel:[   12.345678] x', { timestamp: CLOCK, text: 'x' }],
  ['2026-11-22T11:04:52.123456+01:00 web1 kernel: [   12.345678] x', { timestamp: CLOCK }],
  ['2026-11-22T11:04:52+0100 web1 kernel: x', { text: 'x' }],
  ['Sun 2026-11-22 11:04:52 CET web1 kernel: x', { text: 'x' }],
  ['1795345492.123456 web1 kernel: x', { text: 'x' }],
  ['[   12.345678] usb 1-1: x', { timestamp: CLOCK, text: 'usb 1-1: x' }],
  ['[   12.345678] active_anon:1 inactive_anon:2', { text: 'active_anon:1 inactive_anon:2' }],
  ['Dec 27 09:19:05 web1 kernel: : [    7.359064] x', { text: 'x', timestamp: 7_359_064_000n }],
  ['Nov 22 11:04:52 web1 kernel: x:1#012 y:2', { text: 'x:1\n y:2' }],
  ['web1 login: [   12.345678] x', { timestamp: CLOCK, text: 'x' }],
  ['** 12 printk messages dropped ** [   12.345678] x', { timestamp: CLOCK, text: 'x' }],
  ['x: y', { timestamp: null, bare: true, text: 'x: y' }],
  ['note :that : it', { bare: true, text: 'note :that : it' }],
])('%s', (line, expected) => {
  expect(splitPrefix(line)).toMatchObject({ bare: false, ...expected });
});

test.each(['Nov 22 11:04:52 web1 sshd[123]: BUG: unable to handle', 'Nov 22 11:04:52 web1 CRON[77]: (root) CMD (x)'])(
  'skips a line of another program: %s',
  (line) => {
    expect(splitPrefix(line)).toBeUndefined();
  },
);

test("recognizes a journal with the kernel's clock by the kernel's lines", () => {
  const host = 'web1';
  expect(splitPrefix('[   12.345678] web1 kernel: x', { host })).toMatchObject({ timestamp: CLOCK, text: 'x' });
  expect(splitPrefix('[   12.345678] web1 systemd[1]: Started x', { host })).toBeUndefined();
  expect(splitPrefix('[   12.345678] usb 1-1: x', { host })).toMatchObject({ text: 'usb 1-1: x' });
});
