import { deflateRawSync, deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { pstoreText } from '../../src/log/pstore.js';

const record = (name: string, header: string, ...lines: readonly string[]) => ({
  name,
  content: Buffer.from(`${header}\n${lines.map((line) => `${line}\n`).join('')}`),
});

test('orders the parts of a dump: the last part is the oldest', () => {
  const found = pstoreText([
    record('dmesg-efi-170123456701001', 'Restart#1 Part1', '<0>[ 3.0] c'),
    record('dmesg-efi-170123456703001', 'Restart#1 Part3', '<6>[ 1.0] a'),
    record('dmesg-efi-170123456702001', 'Restart#1 Part2', '<6>[ 2.0] b'),
  ]);
  expect(found).toEqual({ text: '<6>[ 1.0] a\n<6>[ 2.0] b\n<0>[ 3.0] c\n', missing: [], unreadable: [] });
});

test('orders dumps by time, then by count', () => {
  const { text } = pstoreText([
    record('dmesg-efi-170200000001001', 'Restart#1 Part1', 'third'),
    record('dmesg-efi-170100000001002', 'Restart#2 Part1', 'second'),
    record('dmesg-efi-170100000001001', 'Emergency#1 Part1', 'first'),
  ]);
  expect(text).toBe('first\nsecond\nthird\n');
  const ramoops = pstoreText([
    record('dmesg-ramoops-0', '====1700000000.000000-D\nRestart#2 Part1', 'later'),
    record('dmesg-ramoops-1', 'Emergency#1 Part1', 'earlier'),
  ]);
  expect(ramoops.text).toBe('earlier\nlater\n');
});

test('separates the records that systemd-pstore joined by name', () => {
  const joined = (...records: readonly string[]) =>
    pstoreText([{ name: 'dmesg.txt', content: Buffer.from(records.join('')) }]);
  const one = 'Restart#2 Part2\n<6>[ 1.0] a\n';
  const two = 'Emergency#1 Part1\n<4>[ 0.5] b\n';
  const three = 'Restart#2 Part1\n<0>[ 2.0] c\n';
  const found = { text: '<4>[ 0.5] b\n<6>[ 1.0] a\n<0>[ 2.0] c\n', missing: [], unreadable: [] };
  expect(joined(one, two, three)).toEqual(found);
  // systemd 244 adds the names.
  const named = (name: string, text: string) => `${name}:\n${text}`;
  expect(
    joined(
      named('dmesg-efi-170123456702002', one),
      named('dmesg-efi-170123456701002', three),
      named('dmesg-efi-170123456701001', two),
    ),
  ).toEqual(found);
});

test('merges the common lines of two dumps of one boot', () => {
  const { text } = pstoreText([
    record('dmesg-ramoops-0', 'Emergency#1 Part1', 'a', 'b', 'c'),
    record('dmesg-ramoops-1', 'Restart#2 Part1', 'b', 'c', 'd'),
  ]);
  expect(text).toBe('a\nb\nc\nd\n');
});

test('names missing parts, and files that are no records', () => {
  const { text, missing, unreadable } = pstoreText([
    record('dmesg-efi-170123456704001', 'Panic#1 Part4', 'a'),
    record('dmesg-efi-170123456702001', 'Panic#1 Part2', 'b'),
    { name: 'dmesg-efi-170123456701001.enc.z', content: Buffer.from('no deflate') },
  ]);
  expect(text).toBe('a\nb\nPanic#1 Part2\n');
  expect(missing).toEqual(['Panic#1 Part1', 'Panic#1 Part3']);
  expect(unreadable).toEqual(['dmesg-efi-170123456701001.enc.z']);
});

test.each([
  ['raw deflate, as kernels compress since 4.x', deflateRawSync],
  ['zlib, as 3.x kernels compress', deflateSync],
])('reads a compressed record: %s', (_, deflate) => {
  const { name, content } = record('dmesg-efi-170123456701001', 'Restart#1 Part1', 'a');
  // Windows of 2048 bytes, as in fs/pstore/platform.c.
  const packed = deflate(content, { windowBits: 11 });
  const { text, unreadable } = pstoreText([{ name: `${name}.enc.z`, content: packed }]);
  expect([text, unreadable]).toEqual(['a\n', []]);
});

test.each([
  ['Panic', 'Kernel panic - not syncing: Fatal exception'],
  ['Oops', 'Oops: 0002 [#1] SMP'],
])('keeps the header of a crash whose message is missing: %s', (reason, message) => {
  const textOf = (...lines: readonly string[]) =>
    pstoreText([record('dmesg-efi-170123456701001', `${reason}#1 Part1`, ...lines)]).text;
  expect(textOf('a')).toBe(`a\n${reason}#1 Part1\n`);
  expect(textOf('a', message)).toBe(`a\n${message}\n`);
});
