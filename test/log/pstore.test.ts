import { deflateRawSync, deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { pstoreText } from '../../src/log/pstore.js';

const record = (name: string, header: string, ...lines: readonly string[]) => ({
  name,
  content: Buffer.from(`${header}\n${lines.map((line) => `${line}\n`).join('')}`),
});

test('parts of a dump are put in order: the last part is the oldest', () => {
  const found = pstoreText([
    record('dmesg-efi-170123456701001', 'Panic#1 Part1', '<0>[ 3.0] c'),
    record('dmesg-efi-170123456703001', 'Panic#1 Part3', '<6>[ 1.0] a'),
    record('dmesg-efi-170123456702001', 'Panic#1 Part2', '<6>[ 2.0] b'),
  ]);
  expect(found).toEqual({
    text: '<6>[ 1.0] a\n<6>[ 2.0] b\n<0>[ 3.0] c\n',
    missing: [],
    unreadable: [],
  });
});

test('dumps are in the order of their times, then of their counts', () => {
  const { text } = pstoreText([
    record('dmesg-efi-170200000001001', 'Panic#1 Part1', 'third'),
    record('dmesg-efi-170100000001002', 'Panic#2 Part1', 'second'),
    record('dmesg-efi-170100000001001', 'Oops#1 Part1', 'first'),
  ]);
  expect(text).toBe('first\nsecond\nthird\n');
  const ramoops = pstoreText([
    record('dmesg-ramoops-0', '====1700000000.000000-D\nPanic#2 Part1', 'later'),
    record('dmesg-ramoops-1', 'Oops#1 Part1', 'earlier'),
  ]);
  expect(ramoops.text).toBe('earlier\nlater\n');
});

test('what two dumps of one boot share is there once', () => {
  const { text } = pstoreText([
    record('dmesg-ramoops-0', 'Oops#1 Part1', 'a', 'b', 'c'),
    record('dmesg-ramoops-1', 'Panic#2 Part1', 'b', 'c', 'd'),
  ]);
  expect(text).toBe('a\nb\nc\nd\n');
});

test('parts that are missing, and what is no record, are named', () => {
  const { text, missing, unreadable } = pstoreText([
    record('dmesg-efi-170123456704001', 'Panic#1 Part4', 'a'),
    record('dmesg-efi-170123456702001', 'Panic#1 Part2', 'b'),
    { name: 'dmesg-efi-170123456701001.enc.z', content: Buffer.from('no deflate') },
  ]);
  expect(text).toBe('a\nb\n');
  expect(missing).toEqual(['Panic#1 Part1', 'Panic#1 Part3']);
  expect(unreadable).toEqual(['dmesg-efi-170123456701001.enc.z']);
});

test.each([
  ['raw deflate, as kernels compress from 4.x on', deflateRawSync],
  ['zlib, as 3.x does', deflateSync],
])('a record that is still compressed is read: %s', (_, deflate) => {
  const { name, content } = record('dmesg-efi-170123456701001', 'Panic#1 Part1', 'a');
  // Windows of 2048 bytes, as fs/pstore/platform.c has them.
  const packed = deflate(content, { windowBits: 11 });
  const { text, unreadable } = pstoreText([{ name: `${name}.enc.z`, content: packed }]);
  expect([text, unreadable]).toEqual(['a\n', []]);
});
