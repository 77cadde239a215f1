import { expect, test } from 'vitest';
import { findBoot } from '../../src/log/boots.js';
import { TextLogReader, textRecords } from '../../src/log/reader.js';
import type { TextRecord } from '../../src/records/log-records.js';

function boots(...lines: readonly string[]): number[] {
  return textRecords(lines.join('\n')).map(({ boot }) => boot);
}

const BANNER = 'Linux version 6.12.0 (x@y) #1 SMP';

test('begins a boot at a banner, or if the clock goes back', () => {
  const first = [`[    0.000000] ${BANNER}`, '[    1.000000] a', '[  900.000000] b'];
  expect(boots(...first, ...first)).toEqual([1, 1, 1, 2, 2, 2]);
  expect(boots('[  900.000000] b', '[    0.500000] quiet console', '[    1.0000] c')).toEqual([1, 2, 2]);
});

test('begins no boot at unordered messages of CPUs', () => {
  expect(boots('[  900.000000] a', '[  899.100000] b', '[  900.100000] c')).toEqual([1, 1, 1]);
});

test('assigns the messages that arm64 prints before its banner to the same boot', () => {
  const start = '[    0.000000] Booting Linux on physical CPU 0x0000000000';
  const boot = [start, `[    0.000000] ${BANNER}`, '[  70.000000] a'];
  expect(boots(...boot, ...boot)).toEqual([1, 1, 1, 2, 2, 2]);
});

test('separates boots in syslog, which lacks the clock, by banners', () => {
  const at = 'Nov 22 11:04:52 web1 kernel: ';
  const lines = [`${at}${BANNER}`, `${at}a`, `${at}b`];
  expect(boots(...lines, ...lines)).toEqual([1, 1, 1, 2, 2, 2]);
  expect(boots(...Array(9).fill(`${at}x`), ...lines).at(-1)).toBe(2);
});

test('begins no boot at a banner that a program prints', () => {
  expect(boots('[   90.000000] a', BANNER, '[   91.000000] b')).toEqual([1, 1, 1]);
});

const ID = 'd3b0738a5f6a4b6b8c1c2d3e4f506172';

test('reads the names of boots in a journal, between two of them or with each message', () => {
  const at = 'Nov 22 11:04:52 web1 kernel: ';
  const records = textRecords([`${at}a`, `-- Boot ${ID} --`, `${at}b`, '-- Reboot --', `${at}c`].join('\n'));
  expect(records.map(({ boot, bootId }) => [boot, bootId])).toEqual([
    [1, ''],
    [2, ID],
    [3, ''],
  ]);
  const json = (id: string, clock: string) =>
    JSON.stringify({ _TRANSPORT: 'kernel', _BOOT_ID: id, MESSAGE: 'a', __MONOTONIC_TIMESTAMP: clock });
  const other = ID.replace('d3', 'aa');
  // The clock of a message may go back within a boot: the ids decide.
  const lines = [json(ID, '90000000'), json(ID, '1'), json(other, '90000000')];
  expect(textRecords(lines.join('\n')).map(({ boot }) => boot)).toEqual([1, 1, 2]);
});

test('selects a boot by its number or its id, like journalctl', () => {
  const boot = (id?: string) => ({ id, release: undefined, fromStart: true, newest: null });
  const log = { boots: [boot(), boot(ID), boot()], bootCount: 3 };
  expect([0, -1, -2, -3, 1, 3, 4].map((number) => findBoot({ number }, log))).toEqual([
    3,
    2,
    1,
    undefined,
    1,
    3,
    undefined,
  ]);
  expect(findBoot({ id: ID }, log)).toBe(2);
  expect(findBoot({ id: 'ff' }, log)).toBeUndefined();
});

test('detects a clock that goes back in lines that are skipped', () => {
  const line = (second: number) => `[${second}.000000] usb 1-1: message number ${second}\n`;
  const boot = Array.from({ length: 3000 }, (_, at) => line(100 + at)).join('');
  const records: TextRecord[] = [];
  const reader = new TextLogReader({
    take: (record) => void records.push(record),
    isOpen: false,
    triggers: /number 3000/,
  });
  reader.push(Buffer.from(boot + boot));
  expect(reader.end().bootCount).toBe(2);
  expect(records.map(({ boot: number }) => number)).toEqual([1, 2]);
});
